import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { join } from "node:path";
import express, { type ErrorRequestHandler, type Express } from "express";
import { SignJWT } from "jose";
import request from "supertest";
import { blocks, root } from "../support/markdown.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { runSnippet } from "../support/snippet.js";

// The pages of docs/migrating: the app with the other package and the app with this one are run, and what a page says that differs, and
// what it says is the same, is looked for in both.

type App = Express;
/** Both apps of a page. `edit` changes their code, where a test must not wait as long as an app. */
async function appsOf(name: string, edit = (code: string) => code): Promise<{ theirs: App; ours: App }> {
  const all = blocks(`docs/migrating/${name}.md`);
  const run = async (info: string) =>
    (await runSnippet(edit(all.find((block) => block.info === info)!.code))) as App;
  return { theirs: await run("ts before"), ours: await run("ts") };
}

let lines = "";
beforeEach(() => {
  lines = "";
  for (const stream of [process.stdout, process.stderr])
    jest.spyOn(stream, "write").mockImplementation((text) => {
      lines += text;
      return true;
    });
  for (const method of ["log", "info", "warn", "error"] as const)
    jest.spyOn(console, method).mockReturnValue();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeServers();
});

it("every page has an app before and an app after, and says what differs and what to test", () => {
  for (const file of readdirSync(join(root, "docs/migrating"))) {
    const infos = blocks(`docs/migrating/${file}`).map(({ info }) => info);
    expect([file, infos.slice(0, 2)]).toEqual([file, ["ts before", "ts"]]);
    const headings = ["What differs", "Options", "What to test"];
    const text = readFileSync(join(root, "docs/migrating", file), "utf8");
    expect([file, [...text.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)]).toEqual([file, headings]);
  }
});

describe("cors", () => {
  const preflight = (app: App, origin: string) =>
    request(app).options("/orders").set("Origin", origin).set("Access-Control-Request-Method", "POST");
  const corsHeaders = (headers: Record<string, string>) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("access-control-")));

  it("an allowed preflight is the same", async () => {
    const { theirs, ours } = await appsOf("cors");
    const a = await preflight(theirs, "https://app.example").expect(204);
    const b = await preflight(ours, "https://app.example").expect(204);
    expect(corsHeaders(b.headers)).toEqual(corsHeaders(a.headers));
    expect(a.headers.vary).toBe("Origin, Access-Control-Request-Headers");
    expect(b.headers.vary).toBe("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
  });

  it("a refused preflight is 204 there and 403 here", async () => {
    const { theirs, ours } = await appsOf("cors");
    const a = await preflight(theirs, "https://evil.example").expect(204);
    expect(corsHeaders(a.headers)).toMatchObject({ "access-control-allow-credentials": "true" });
    expect(Object.keys(a.headers)).toContain("access-control-allow-methods");
    const b = await preflight(ours, "https://evil.example").expect(403);
    expect(corsHeaders(b.headers)).toEqual({});
    expect(b.text).toContain("origin");
  });

  it("an OPTIONS that is no preflight goes on here, and invalid JSON can be read", async () => {
    const { theirs, ours } = await appsOf("cors");
    await request(theirs).options("/orders").expect(204);
    await request(ours).options("/orders").expect(200).expect("Allow", /POST/);
    const send = (app: App) =>
      request(app).post("/orders").type("json").set("Origin", "https://app.example").send("{");
    const a = await send(theirs).expect(400);
    expect(corsHeaders(a.headers)).toEqual({});
    const b = await send(ours).expect(400);
    expect(corsHeaders(b.headers)).toMatchObject({ "access-control-allow-origin": "https://app.example" });
  });

  it("orgin starts there, and not here", async () => {
    const misspell = (code: string) => code.replace("origin:", "orgin:");
    await expect(appsOf("cors", misspell)).rejects.toThrow('Did you mean "origin"?');
    const [{ code } = { code: "" }] = blocks("docs/migrating/cors.md");
    const theirs = (await runSnippet(misspell(code))) as App;
    const { headers } = await request(theirs).post("/orders").set("Origin", "https://evil.example");
    expect(headers["access-control-allow-origin"]).toBe("*");
  });

  it("without options OPTIONS is 204 there, and 200 here unless the status is given", async () => {
    const empty = (code: string) => code.replace(/cors\(\{.*?\}\)/s, "cors()");
    const { theirs, ours } = await appsOf("cors", empty);
    await preflight(theirs, "https://a.example").expect(204);
    await preflight(ours, "https://a.example").expect(200);
    const given = await appsOf("cors", (code) =>
      code.replace(/cors\(\{.*?\}\)/s, 'cors({ origin: "*", optionsSuccessStatus: 204 })'),
    );
    await preflight(given.ours, "https://a.example").expect(204);
  });
});

describe("helmet", () => {
  const own = ({ headers }: request.Response) => {
    const { date: _date, etag: _etag, ...rest } = headers as Record<string, string>;
    return rest;
  };

  it("the headers of a page are the same", async () => {
    const { theirs, ours } = await appsOf("helmet");
    expect(own(await request(ours).get("/"))).toEqual(own(await request(theirs).get("/")));
  });

  it("Express's 404 keeps frame-ancestors, base-uri and form-action here only", async () => {
    const { theirs, ours } = await appsOf("helmet");
    const policy = async (app: App) =>
      (await request(app).get("/nothing")).headers["content-security-policy"];
    expect(await policy(theirs)).toBe("default-src 'none'");
    expect(await policy(ours)).toMatch(/^default-src 'none';.*base-uri.*/);
    for (const name of ["frame-ancestors", "base-uri", "form-action"])
      expect(await policy(ours)).toContain(name);
  });

  it("a misspelt directive is sent there, and refused here", async () => {
    const misspell = (code: string) => code.replace("imgSrc:", "imgSrcc:");
    await expect(appsOf("helmet", misspell)).rejects.toThrow("imgSrc");
    const [{ code } = { code: "" }] = blocks("docs/migrating/helmet.md");
    const { headers } = await request((await runSnippet(misspell(code))) as App).get("/");
    expect(headers["content-security-policy"]).toContain("img-srcc");
  });

  it("X-Powered-By of a mounted app is removed here only", async () => {
    const { theirs, ours } = await appsOf("helmet");
    const powered = async (app: App) => {
      const inner = express();
      inner.get("/", (_req, res) => void res.send("inner"));
      app.use("/inner", inner);
      return (await request(app).get("/inner")).headers["x-powered-by"];
    };
    expect([await powered(theirs), await powered(ours)]).toEqual(["Express", undefined]);
  });
});

describe("morgan", () => {
  /** Without the time and the address, and of ours without the query. */
  const lineOf = async (app: App, target: string) => {
    lines = "";
    const { port } = await listen(app);
    await raw(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nReferer: http://b/\r\nConnection: close\r\n\r\n`);
    await until(() => lines.includes("\n"));
    return lines.replace(/\[.*?\]/, "[time]").trim();
  };

  it("the line of an answered request is the same, but secrets are redacted", async () => {
    const { theirs, ours } = await appsOf("morgan");
    expect(await lineOf(ours, "/")).toBe(await lineOf(theirs, "/"));
    expect(await lineOf(theirs, "/?token=s3cret")).toContain("s3cret");
    expect(await lineOf(ours, "/?token=s3cret")).toContain("token=REDACTED");
  });

  it("a client that left is 499", async () => {
    const withSlow = (code: string) => `${code}\napp.get("/slow", () => {});`;
    const { theirs, ours } = await appsOf("morgan", withSlow);
    const leave = async (app: App) => {
      lines = "";
      const reached = jest.fn();
      const { port } = await listen(((req: never, res: never, next: never) => {
        reached();
        return app(req, res, next);
      }) as never);
      const socket = net.connect(port, "127.0.0.1", () =>
        socket.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"),
      );
      await until(() => reached.mock.calls.length > 0);
      socket.destroy();
      await until(() => lines.includes("\n"));
      return lines;
    };
    expect(await leave(theirs)).toContain('"GET /slow HTTP/1.1" - -');
    expect(await leave(ours)).toContain('"GET /slow HTTP/1.1" 499 -');
  });

  it("an unknown token is an error of the first request there, and of the start here", async () => {
    const unknown = (code: string) => code.replace('"combined"', '":method :nonesuch"');
    await expect(appsOf("morgan", unknown)).rejects.toThrow("nonesuch");
    const [{ code } = { code: "" }] = blocks("docs/migrating/morgan.md");
    await expect(runSnippet(unknown(code))).resolves.toBeDefined();
  });
});

describe("compression", () => {
  it("both encode a long body and leave a short one; here with a Content-Length, and HEAD too", async () => {
    const { theirs, ours } = await appsOf("compression");
    const get = (app: App, path = "/") => request(app).get(path).set("Accept-Encoding", "gzip");
    const [a, b] = [await get(theirs), await get(ours)];
    expect(a.body).toEqual(b.body);
    expect(a.headers).toMatchObject({ "content-encoding": "gzip", "transfer-encoding": "chunked" });
    expect(b.headers).toMatchObject({ "content-encoding": "gzip", "content-length": expect.any(String) });
    for (const app of [theirs, ours])
      expect((await get(app, "/small")).headers["content-encoding"]).toBeUndefined();
    const head = async (app: App) =>
      (await request(app).head("/").set("Accept-Encoding", "gzip")).headers["content-encoding"];
    expect([await head(theirs), await head(ours)]).toEqual([undefined, "gzip"]);
  });

  it("what a waiting handler has written is sent here, and the callbacks are called", async () => {
    const called: string[] = [];
    const addStream = (app: App, name: string) =>
      app.get("/stream", (_req, res) => {
        res.type("text");
        res.write("the first part ".repeat(200), () => void called.push(name));
      });
    const { theirs, ours } = await appsOf("compression");
    const received = async (app: App, name: string) => {
      addStream(app, name);
      const { port } = await listen(app);
      const req = http.get({ port, path: "/stream", headers: { "Accept-Encoding": "gzip" } });
      const got = new Promise<number>((resolve) =>
        req.on("response", (res) =>
          res.on("data", (chunk: Buffer) => chunk.length > 10 && resolve(chunk.length)),
        ),
      );
      return { got, end: () => req.on("error", () => {}).destroy() };
    };
    const a = await received(theirs, "theirs");
    const b = await received(ours, "ours");
    const first = await Promise.race([a.got.then(() => "theirs"), b.got.then(() => "ours")]);
    expect(first).toBe("ours");
    await until(() => called.includes("ours"));
    expect(called).toEqual(["ours"]);
    a.end();
    b.end();
  });
});

describe("connect-timeout", () => {
  const soon = (code: string) =>
    code.replace('"5s"', '"50ms"').replace("5_000", "50").replace("6_000", "150");

  it("the deadline is an error there, and an answer here", async () => {
    const { theirs, ours } = await appsOf("connect-timeout", soon);
    const errors: unknown[] = [];
    theirs.use(((error, _req, res, _next) => {
      errors.push(error.code);
      res.status(error.status).send("the app's own");
    }) as ErrorRequestHandler);
    await request(theirs).get("/slow").expect(503, "the app's own");
    expect(errors).toEqual(["ETIMEDOUT"]);
    await request(ours)
      .get("/slow")
      .expect(503)
      .expect("Content-Type", /problem\+json/);
    for (const app of [theirs, ours]) await request(app).get("/").expect(200, "Hello");
  });

  it("a late answer throws there, and is discarded here; so are headers", async () => {
    const { theirs, ours } = await appsOf("connect-timeout", soon);
    const late = async (app: App) => {
      const outcome = new Promise<unknown>((resolve) => {
        app.get("/late", (_req, res) => {
          res.set("X-Set", "by the handler");
          setTimeout(() => {
            try {
              res.send("too late");
              resolve("discarded");
            } catch (error) {
              resolve((error as NodeJS.ErrnoException).code);
            }
          }, 150);
        });
      });
      app.use(((error, _req, res, _next) => {
        res.status(error.status).send("the app's own");
      }) as ErrorRequestHandler);
      const { headers } = await request(app).get("/late").expect(503);
      return [await outcome, headers["x-set"]];
    };
    expect(await late(theirs)).toEqual(["ERR_HTTP_HEADERS_SENT", "by the handler"]);
    expect(await late(ours)).toEqual(["discarded", undefined]);
  });
});

describe("express-jwt", () => {
  const secret = "a secret that is long enough for HS256";
  /** Seconds until it expires; without them it never does. */
  const sign = (seconds?: number, issuer = "login", audience = "api") => {
    const token = new SignJWT({ sub: "ann" }).setProtectedHeader({ alg: "HS256" }).setIssuedAt();
    if (seconds !== undefined) token.setExpirationTime(Math.floor(Date.now() / 1_000) + seconds);
    return token.setIssuer(issuer).setAudience(audience).sign(new TextEncoder().encode(secret));
  };
  let apps: ReturnType<typeof appsOf> | undefined;
  const statuses = async (authorization: string | undefined) => {
    const { theirs, ours } = await (apps ??= appsOf("express-jwt"));
    const ask = async (app: App) => {
      const req = request(app).get("/");
      if (authorization !== undefined) req.set("Authorization", authorization);
      return (await req).status;
    };
    return [await ask(theirs), await ask(ours)];
  };

  it.each<[string, () => Promise<string> | string | undefined, number[]]>([
    ["a valid token", () => sign(60), [200, 200]],
    ["no token", () => undefined, [401, 401]],
    ["an expired token", () => sign(-60), [401, 401]],
    ["another issuer's token", () => sign(60, "other"), [401, 401]],
    ["a token for others", () => sign(60, "login", "other"), [401, 401]],
    ["a token without exp", () => sign(), [200, 401]],
    ["malformed credentials", () => "a b", [401, 400]],
  ])("%s", async (_name, make, expected) => {
    const token = await make();
    expect(await statuses(token && `Bearer ${token}`)).toEqual(expected);
  });

  it("short secrets, and no issuer or audience, are refused here only", async () => {
    const [{ code: theirs } = { code: "" }, { code: ours } = { code: "" }] = blocks(
      "docs/migrating/express-jwt.md",
    );
    const shorten = (code: string) => code.replace(secret, "short");
    const leaveOut = (code: string) => code.replace(', issuer: "login", audience: "api"', "");
    for (const edit of [shorten, leaveOut]) {
      await expect(runSnippet(edit(theirs))).resolves.toBeDefined();
      await expect(runSnippet(edit(ours))).rejects.toThrow("jwt()");
    }
  });
});

describe("pino-http", () => {
  it("the records are as the page says", async () => {
    const written: string[] = [];
    // pino writes to the file descriptor itself: the apps get a stream.
    (globalThis as { pinoLines?: object }).pinoLines = { write: (line: string) => void written.push(line) };
    const toStream = (code: string) =>
      code.replace(/= pino\((.*)\);/, (_, options) => `= pino(${options || "{}"}, globalThis.pinoLines);`);
    const { theirs, ours } = await appsOf("pino-http", toStream);
    const recordsOf = async (app: App, count: number) => {
      written.length = 0;
      await request(app).get("/healthz").expect(200);
      await request(app).get("/?token=s3cret").set("Authorization", "Bearer s3cret2").expect(200);
      await until(() => written.length >= count);
      return written.map((line) => JSON.parse(line));
    };
    const a = await recordsOf(theirs, 2);
    expect(a).toHaveLength(2);
    expect(a[0]).toMatchObject({ msg: "in the handler", req: { id: expect.anything() } });
    expect(a[1]).toMatchObject({
      req: { method: "GET", url: "/?token=s3cret", headers: { authorization: "Bearer s3cret2" } },
      res: { statusCode: 200 },
      responseTime: expect.any(Number),
    });
    const b = await recordsOf(ours, 2);
    expect(b).toHaveLength(2);
    expect(b[0]).toMatchObject({ msg: "in the handler", requestId: expect.any(String) });
    expect(b[1]).toMatchObject({ method: "GET", path: "/", status: 200, durationMs: expect.any(Number) });
    expect(b[1].requestId).toBe(b[0].requestId);
    expect(JSON.stringify(b)).not.toContain("s3cret");
  });
});

describe("terminus", () => {
  it("the probes are as the page says, and a check runs in the background", async () => {
    const servers: net.Server[] = [];
    const { listen: bind } = net.Server.prototype;
    jest.spyOn(net.Server.prototype, "listen").mockImplementation(function (
      this: net.Server,
      ...args: unknown[]
    ) {
      servers.push(this);
      const callback = args.find((arg) => typeof arg === "function") as (() => void) | undefined;
      return bind.call(this, { port: 0, host: "127.0.0.1" }, callback);
    });
    const signals = process.listeners("SIGTERM");
    let runs = 0;
    let fails = false;
    (globalThis as { query?: unknown }).query = async () => {
      runs++;
      if (fails) throw new Error("down");
      return [];
    };
    const watch = (code: string) => code.replace(/query: async \(.*?\) => \[\]/, "query: globalThis.query");
    const quick = (code: string) =>
      watch(code)
        .replace("database: ()", "database: { everyMs: 100, check: ()")
        .replace('query("SELECT 1") } }', 'query("SELECT 1") } } }');
    try {
      await appsOf("terminus", quick);
      const [theirs, ours] = servers.filter(
        (server) => server.listening || server.once("listening", () => {}),
      );
      await until(() => servers.every((server) => server.listening));
      const probe = async (server: net.Server, path: string) => {
        const res = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
        return [res.status, JSON.parse(await res.text()).status];
      };
      const answers = async (server: net.Server, status: number) => {
        while ((await probe(server, "/healthz"))[0] !== status) await new Promise(setImmediate);
      };
      const before = runs;
      expect(await probe(theirs!, "/healthz")).toEqual([200, "ok"]);
      expect(runs).toBeGreaterThan(before);
      await answers(ours!, 200);
      expect(await probe(ours!, "/healthz")).toEqual([200, "pass"]);
      fails = true;
      expect(await probe(theirs!, "/healthz")).toEqual([503, "error"]);
      await answers(ours!, 503);
      expect(await probe(ours!, "/healthz")).toEqual([503, "fail"]);
    } finally {
      for (const listener of process.listeners("SIGTERM"))
        if (!signals.includes(listener)) process.removeListener("SIGTERM", listener);
      for (const server of servers) {
        (server as http.Server).closeAllConnections();
        server.close();
        await once(server, "close");
      }
    }
  });
});

describe("apicache", () => {
  // Its timers last five minutes, and it does not clear all of them.
  beforeEach(() => {
    const { setTimeout: start } = globalThis;
    jest.spyOn(globalThis, "setTimeout").mockImplementation(((callback: () => void, ms?: number) => {
      const timer = start(callback, ms);
      return ms === 300_000 ? timer.unref() : timer;
    }) as typeof setTimeout);
  });

  /** On one port: the host is a part of a cache's key. apicache has one store for all apps, so each test has a path of its own. */
  const start = async (app: App, path: string) => {
    const { port } = await listen(app);
    return async (init: RequestInit = {}) => {
      const res = await fetch(`http://127.0.0.1:${port}${path}`, init);
      const { eur } = (await res.json()) as { eur: number };
      return { eur, headers: res.headers };
    };
  };
  const at = (path: string) => (code: string) => code.replaceAll("/rates", path);

  it("a second request is a hit, and says so here", async () => {
    const { theirs, ours } = await appsOf("apicache", at("/again"));
    const [a, b] = [await start(theirs, "/again"), await start(ours, "/again")];
    expect((await a()).eur).toBe((await a()).eur);
    const { eur, headers: first } = await b();
    const { eur: same, headers: second } = await b();
    expect(same).toBe(eur);
    expect([first.get("cache-status"), first.get("age")]).toEqual(["portico; fwd=uri-miss; stored", null]);
    expect(second.get("cache-status")).toMatch(/^portico; hit; ttl=\d+$/);
    expect(second.get("age")).toMatch(/^\d+$/);
  });

  it.each([
    ["a cookie", { Cookie: "a=b" }],
    ["credentials", { Authorization: "Basic YTpi" }],
  ])("a request with %s is a hit there, and none here unless it may be", async (name, headers) => {
    const path = `/${name.replace(" ", "-")}`;
    const { theirs, ours } = await appsOf("apicache", (code) =>
      at(path)(code).replace("public, max-age", "max-age"),
    );
    const [a, b] = [await start(theirs, path), await start(ours, path)];
    expect((await a({ headers })).eur).toBe((await a({ headers })).eur);
    expect((await b({ headers })).eur).not.toBe((await b({ headers })).eur);
    const open = await start((await appsOf("apicache", at(path))).ours, path);
    const answers = [(await open({ headers })).eur, (await open({ headers })).eur];
    expect(new Set(answers).size).toBe(name === "credentials" ? 1 : 2); // the page's handler says `public`
  });

  it.each(["GET", "POST"])("what is private, to a %s, is stored there, and not here", async (method) => {
    const path = `/private-${method}`;
    const edit = (code: string) =>
      at(path)(code)
        .replace("app.get", "app.all")
        .replace("void res.json", 'void res.set("Cache-Control", "private").cookie("who", "ann").json')
        .replace("public, max-age=300", method === "GET" ? "private, max-age=300" : "public, max-age=300");
    const { theirs, ours } = await appsOf("apicache", edit);
    const [a, b] = [await start(theirs, path), await start(ours, path)];
    expect((await a({ method })).eur).toBe((await a({ method })).eur);
    expect((await b({ method })).eur).not.toBe((await b({ method })).eur);
  });

  it("of concurrent first requests each runs the handler there, and one here", async () => {
    const wait = "await new Promise((resolve) => setTimeout(resolve, 200));";
    const edit = (code: string) =>
      at("/slow")(code)
        .replace(
          "(_req, res) => void res.json({ eur: Math.random() })",
          `async (_req, res) => { ${wait} res.json({ eur: Math.random() }); }`,
        )
        .replace("(_req, res) => {\n", `async (_req, res) => {\n ${wait}\n`);
    const { theirs, ours } = await appsOf("apicache", edit);
    const distinct = async (app: App) => {
      const ask = await start(app, "/slow");
      const answers = await Promise.all(Array.from({ length: 5 }, () => ask()));
      return new Set(answers.map(({ eur }) => eur)).size;
    };
    expect(await distinct(theirs)).toBe(5);
    expect(await distinct(ours)).toBe(1);
  });
});

describe("csurf", () => {
  const post = async (app: App, headers: Record<string, string>) =>
    (await request(app).post("/transfer").set(headers)).status;

  it.each<[string, Record<string, string>, number[]]>([
    [
      "a form of another site",
      { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" },
      [403, 403],
    ],
    ["an older browser, another site", { Origin: "https://evil.example" }, [403, 403]],
    ["a page of the own site without a token", { "Sec-Fetch-Site": "same-origin" }, [403, 200]],
    ["a page of a sibling domain", { "Sec-Fetch-Site": "same-site" }, [403, 403]],
    ["a program", {}, [403, 200]],
  ])("%s", async (_name, headers, expected) => {
    const { theirs, ours } = await appsOf("csurf");
    expect([await post(theirs, headers), await post(ours, headers)]).toEqual(expected);
  });

  it("a form with its token passes there", async () => {
    const { theirs } = await appsOf("csurf");
    const page = await request(theirs).get("/");
    const [, token] = /value="([^"]+)"/.exec(page.text)!;
    await request(theirs)
      .post("/transfer")
      .set("Cookie", page.headers["set-cookie"]![0]!.split(";")[0]!)
      .type("form")
      .send({ _csrf: token })
      .expect(200, "done");
  });
});
