import http from "node:http";
import express from "express";
import { ConfigError } from "../../../src/index.js";
import { inspect } from "../../../tools/inspector/index.js";
import { closeServers, listen, raw } from "../../support/server.js";
import { closeInspectors, openInspector } from "./support.js";

afterEach(async () => {
  await closeInspectors();
  await closeServers();
});

const problemsOf = async (opening: Promise<unknown>) => {
  const error = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).problems.map(({ option }) => option);
};

/** The body is read as well: unread, it would keep the connection open. */
async function statusOf(url: string, init?: RequestInit): Promise<number> {
  const answer = await fetch(url, init);
  await answer.arrayBuffer();
  return answer.status;
}

describe("the options", () => {
  it("are checked all at once, and nothing is left in the app", async () => {
    const app = express();
    const keys = Reflect.ownKeys(app);
    const { handle } = app as never as { handle: unknown };
    const wrong = { port: -1, host: " ", keep: 0, production: "yes", keeep: 1 } as never;
    expect(await problemsOf(inspect(app, wrong))).toEqual(["keeep", "port", "host", "keep", "production"]);
    expect(await problemsOf(inspect({} as never))).toEqual(["app"]);
    expect([Reflect.ownKeys(app), (app as never as { handle: unknown }).handle]).toEqual([keys, handle]);
  });

  it("refuse production, as it is when inspect is called, unless production is true", async () => {
    const before = process.env.NODE_ENV;
    process.env.NODE_ENV = "production";
    try {
      expect(await problemsOf(inspect(express()))).toEqual(["production"]);
      await openInspector(express(), { production: true });
    } finally {
      process.env.NODE_ENV = before;
    }
  });

  it("a second inspector of the same app is refused while the first is open", async () => {
    const app = express();
    const first = await inspect(app);
    expect(await problemsOf(inspect(app))).toEqual(["app"]);
    await first.close();
    await first.close();
    const second = await inspect(app);
    await second.close();
  });

  it("a port that is taken rejects, and leaves the app as it was", async () => {
    const { port } = await listen(() => {});
    const app = express();
    const { handle } = app as never as { handle: unknown };
    await expect(inspect(app, { port })).rejects.toMatchObject({ code: "EADDRINUSE" });
    expect((app as never as { handle: unknown }).handle).toBe(handle);
    await (await inspect(app)).close();
  });
});

describe("the page", () => {
  it("shows nothing without the token: every other target is the same 404", async () => {
    const { url } = await openInspector(express());
    const { origin, pathname } = new URL(url);
    const token = pathname.slice(1, -1);
    expect(token.length).toBeGreaterThanOrEqual(32);
    const others = [
      "/",
      "/app.js",
      "/events",
      `/${token}`,
      `/${token.slice(0, -1)}/`,
      `/${token}x/`,
      `/?token=${token}`,
      "/requests/1",
    ];
    for (const path of [...others, `${pathname}../`, `${pathname}index.html?x`, `${pathname}assets.cjs`]) {
      const answer = await fetch(origin + path);
      expect([path, answer.status, await answer.text()]).toEqual([path, 404, "Not found\n"]);
    }
    expect(await statusOf(url, { method: "POST" })).toBe(404);
    expect(await statusOf(`${url}requests/999`)).toBe(404);
    expect(await statusOf(url)).toBe(200);
  });

  it("has our security headers: only its own script with the nonce runs, nothing frames or stores it", async () => {
    const { url } = await openInspector(express());
    const answer = await fetch(url);
    const text = await answer.text();
    const policy = answer.headers.get("content-security-policy")!;
    const [, nonce] = /'nonce-([^']+)'/.exec(policy)!;
    expect(text).toContain(`nonce="${nonce}"`);
    expect(text).not.toMatch(/https?:\/\//); // no network
    expect(policy).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("cross-origin-resource-policy")).toBe("same-origin");
    for (const file of ["app.js", "app.css"]) expect(await statusOf(url + file)).toBe(200);
  });

  it("is not there for another host (DNS rebinding)", async () => {
    const { url } = await openInspector(express());
    const { port, pathname } = new URL(url);
    const ask = (host: string) =>
      raw(Number(port), `GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect((await ask(`evil.example:${port}`)).text).toMatch(/^HTTP\/1\.1 421 /);
    expect((await ask(`localhost:${port}`)).text).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("gets requests as they come and as they end, and figures each second", async () => {
    const app = express();
    let finish!: () => void;
    app.get("/x", (_req, res) => {
      finish = () => res.send("x");
    });
    const inspector = await openInspector(app);
    const { url } = await listen(app);
    const events = await eventsOf(`${inspector.url}events`);
    const answer = fetch(`${url}/x`);
    await events.until(/"path":"\/x".*"marks":\[\]/);
    expect(events.text()).not.toMatch(/"status":200/);
    finish();
    await answer;
    await events.until(/event: requests\ndata: \[.*"status":200/);
    await events.until(/event: sample\ndata: .*"rate":\d+.*"delayMs"/);
    await inspector.close();
    await events.until(/event: closed/);
  });

  async function eventsOf(url: string) {
    let text = "";
    const request = http.get(url);
    const response = await new Promise<http.IncomingMessage>((resolve) => request.on("response", resolve));
    response.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    response.on("error", () => {});
    return {
      text: () => text,
      async until(pattern: RegExp) {
        for (let i = 0; i < 1_000 && !pattern.test(text); i++)
          await new Promise((resolve) => setTimeout(resolve, 10));
        expect(text).toMatch(pattern);
      },
    };
  }
});

describe("memory", () => {
  it("keeps the newest requests only, and of each a limited number of calls, headers and characters", async () => {
    const app = express();
    for (let i = 0; i < 400; i++) app.use((_req, _res, next) => next());
    app.get("/{*rest}", (_req, res) => {
      for (let i = 0; i < 300; i++) res.setHeader(`X-Header-${i}`, "v");
      res.setHeader("X-Long", "v".repeat(5_000));
      res.send("x".repeat(100_000));
    });
    const inspector = await openInspector(app, { keep: 5 });
    const { url } = await listen(app, { maxHeaderSize: 100_000 });
    for (let i = 0; i < 20; i++) await (await fetch(`${url}/${i}?${"q".repeat(3_000)}`)).text();
    const detail = await inspector.ended("/19");
    const { requests } = await inspector.all();
    expect(requests.map(({ path }) => path)).toEqual(["/15", "/16", "/17", "/18", "/19"]);
    expect(await statusOf(`${inspector.url}requests/1`)).toBe(404);
    expect(detail.calls.length).toBeLessThanOrEqual(301);
    expect(detail.callsLeftOut).toBeGreaterThan(90);
    expect(detail.responseHeaders.length).toBeLessThanOrEqual(100);
    expect(JSON.stringify(detail).length).toBeLessThan(120_000);
    expect(detail.summary.query!.length).toBeLessThan(1_100);
  });
});
