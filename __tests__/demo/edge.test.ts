import http from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { join } from "node:path";
import { serve } from "express-portico";
import { demoApp } from "../../demo/app.js";
import { otherApp } from "../../demo/other.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { certificate } from "../support/certificate.js";
import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw } from "../support/server.js";
import { oneIn } from "../support/soak.js";

const modules = {
  fibonacci: join(__dirname, "../../demo/fibonacci.mjs"),
  load: join(__dirname, "../../demo/load.mjs"),
};
const metricsOrigin = "http://localhost:9464";
const quiet = { log: { stream: { write() {} } }, recover: { logger: memoryLogger() } } as const;
const servers: http.Server[] = [];
let api: string;
let other: string;
let port: number;

beforeAll(async () => {
  const [apiServer, otherServer] = [http.createServer(), http.createServer()];
  [api, other] = [await originOf(apiServer), await originOf(otherServer)];
  port = Number(new URL(api).port);
  apiServer.on(
    "request",
    demoApp({ ownOrigin: api, otherOrigin: other, metricsOrigin, ...modules, ...quiet }),
  );
  otherServer.on("request", otherApp({ apiOrigin: api }));
});
afterAll(async () => {
  for (const server of servers) server.closeAllConnections();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
});
afterEach(closeServers);
afterEach(closeHttp2);

async function originOf(server: http.Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

const REBOUND = "rebound.example";

/**
 * A name that leads to one server, and then to another: connections are passed on to the port that it leads to when their first
 * request arrives. Chromium also opens connections in advance.
 */
async function relayTo(first: number) {
  let target = first;
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("readable", () => {
      const onward = net.connect(target, "127.0.0.1");
      onward.on("error", () => {});
      socket.pipe(onward).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  const leadTo = (port: number) => {
    target = port;
  };
  return { port: (server.address() as AddressInfo).port, leadTo };
}

/** What the attacker's page tries after its name has come to lead to the demo: for the browser it is one origin. */
const ATTACK = `
  async function attack() {
    const attempts = [
      ["/hello"],
      ["/violations"],
      ["/headers", { headers: { "X-Forwarded-Host": "localhost" } }],
      ["/headers", { headers: { Forwarded: "host=localhost" } }],
      ["/transfer", { method: "POST", body: new URLSearchParams({ amount: 5 }) }],
      ["/admin", { headers: { Authorization: "Bearer demo-owner" } }],
      ["/csp-reports", { method: "POST", headers: { "Content-Type": "application/csp-report" }, body: "{}" }],
    ];
    const seen = [];
    for (const [path, init] of attempts) {
      const answer = await fetch(path, init);
      seen.push([path, answer.status, await answer.text()]);
    }
    return seen;
  }
`;

describeInBrowser("in Chromium", () => {
  it("the page of the other origin reads what it may, and both pages obey their policy", async () => {
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on("console", (message) => {
        if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text());
      });
      await page.goto(`${api}/`);
      expect(await page.title()).toContain("express-portico");
      expect(await page.evaluate("getComputedStyle(document.body).maxWidth")).not.toBe("none");
      await page.goto(`${other}/`);
      await page.waitForSelector("body[data-done]");
      const rows = await page.$$eval("tbody tr", (all) =>
        all.map((row) => (row as unknown as { innerText: string }).innerText.split("\t")),
      );
      expect(rows).toEqual([
        ["GET /hello", expect.anything(), expect.stringMatching(/^200 Hello, world/)],
        ["POST /hello as JSON", expect.anything(), '200 {"hello":"browser"}'],
        ["POST /hello with 20 kB", expect.anything(), expect.stringMatching(/^413 /)],
        ["GET /panic", expect.anything(), expect.stringMatching(/^500 /)],
        ["GET /nothing-here", expect.anything(), expect.stringMatching(/^404 /)],
        ["GET /admin without credentials", expect.anything(), expect.stringMatching(/^401 /)],
        ["GET /admin with a token", expect.anything(), '200 {"welcome":"reader"}'],
        ["GET /open", expect.anything(), '200 {"open":true}'],
        ["GET /partners", expect.anything(), expect.stringContaining("hides the response from this page")],
        ["PURGE /hello", expect.anything(), expect.stringContaining("hides the response from this page")],
      ]);
      expect(await page.$$eval("td.bad", (cells) => cells.length)).toBe(0);
      expect(complaints).toEqual([]);
    });
  });

  it("the form of the other origin is refused, with the reason; the demo's own is not", async () => {
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      await page.goto(`${other}/`);
      const [refused] = await Promise.all([page.waitForNavigation(), page.click("#forged button")]);
      expect(refused!.status()).toBe(403);
      expect(page.url()).toBe(`${api}/transfer`);
      expect(await page.innerText("body")).toMatch(/Sec-Fetch-Site/);

      await page.goto(`${api}/`);
      const [passed] = await Promise.all([
        page.waitForNavigation(),
        page.click('form[action="/transfer"] button'),
      ]);
      expect([passed!.status(), await page.innerText("body")]).toEqual([200, "Transferred 5.\n"]);
    });
  });

  it("a page whose name comes to lead to the demo (DNS rebinding) reads nothing and changes nothing", async () => {
    const attacker = await listen((_req, res) => {
      res.writeHead(200, { "content-type": "text/html", connection: "close" });
      res.end(`<!doctype html><script>${ATTACK}</script>`);
    });
    const unguarded = await listen((_req, res) => void res.end("reached"));
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      /** What the page sees whose name leads to the attacker's server first, and then to the victim. */
      const attack = async (victim: number) => {
        const relay = await relayTo(attacker.port);
        await page.goto(`http://${REBOUND}:${relay.port}/`);
        relay.leadTo(victim);
        const seen = await page.evaluate<[string, number, string][]>("attack()");
        const answer = await page.goto(`http://${REBOUND}:${relay.port}/hello`);
        return [...seen, ["navigation", answer!.status(), await page.innerText("body")] as const];
      };
      // Without allowedHosts the attack works.
      const control = await attack(unguarded.port);
      expect(control.map(([, status, text]) => [status, text])).toEqual(control.map(() => [200, "reached"]));

      const seen = await attack(port);
      expect(seen.map(([, status]) => status)).toEqual(control.map(() => 421));
      for (const [, , text] of seen) expect(text).toContain(REBOUND);
    });
  });
});

/** The demo with an origin of its own, whose reports are its own too. */
async function demoOver(scheme: "http" | "https"): Promise<string> {
  const server = scheme === "http" ? http.createServer() : https.createServer(await certificate());
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const ownOrigin = `${scheme}://localhost:${(server.address() as AddressInfo).port}`;
  const log = { stream: { write() {} } };
  server.on(
    "request",
    demoApp({ ownOrigin, otherOrigin: "https://other.example", metricsOrigin, ...modules, log }),
  );
  return ownOrigin;
}

describeInBrowser("the demo's page", () => {
  const schemes = [
    ["https", ["enforce", "report"]],
    ["http", ["enforce"]],
  ] as const;
  it.each(
    oneIn<(typeof schemes)[number]>(2, schemes),
  )("over %s shows what the browser reports of it: %j", async (scheme, dispositions) => {
    const origin = await demoOver(scheme);
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      await page.goto(`${origin}/`);
      await page.click("#provoke");
      await page.locator("#report", { hasText: "blockedUrl" }).waitFor();
      const shown = JSON.parse((await page.textContent("#report"))!);
      expect(shown).toMatchObject({
        type: "csp-violation",
        documentUrl: `${origin}/`,
        blockedUrl: expect.stringMatching(/^https:\/\/forbidden\.example\/image\.png\?\d+$/),
        effectiveDirective: "img-src",
        statusCode: 200,
      });
      expect(Object.keys(shown)).not.toEqual(expect.arrayContaining(["userAgent"]));
      let all: { disposition: string; blockedUrl: string; ageMs?: number }[] = [];
      while (all.length < dispositions.length) {
        all = await page.evaluate("fetch('/violations').then((answer) => answer.json())");
      }
      expect(all.map(({ disposition }) => disposition).sort()).toEqual(dispositions);
      expect(new Set(all.map(({ blockedUrl }) => blockedUrl))).toEqual(new Set([shown.blockedUrl]));
      // Only the Reporting API sends the age of a report.
      expect(all.map(({ disposition, ageMs }) => [disposition, ageMs !== undefined]).sort()).toEqual(
        dispositions.map((disposition) => [disposition, disposition === "report"]),
      );
    });
  });
});

describe("a request for another host", () => {
  it.each([
    ["GET /hello HTTP/1.1\r\nHost: rebound.example", 421],
    ["GET /hello HTTP/1.1\r\nHost: rebound.example.", 421],
    ["GET /hello HTTP/1.1\r\nHost: localhost.rebound.example", 421],
    ["GET /hello HTTP/1.1\r\nHost: 127.0.0.1.rebound.example", 421],
    ["GET /hello HTTP/1.1\r\nHost: 0.0.0.0", 421],
    ["GET http://rebound.example/hello HTTP/1.1\r\nHost: localhost", 400],
    ["GET /hello HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example", 400],
    ["GET /hello HTTP/1.1\r\nHost: localhost, rebound.example", 400],
    ["GET /hello HTTP/1.1\r\nHost: rebound.example\r\nX-Forwarded-Host: localhost", 421],
    ["GET /hello HTTP/1.1\r\nHost: LOCALHOST.", 200],
    ["GET /hello HTTP/1.1\r\nHost: [::1]", 200],
  ])("%j is answered with %i", async (head, status) => {
    const { text } = await raw(port, `${head}\r\nConnection: close\r\n\r\n`);
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it("over HTTP/2 is refused, and with an absolute target through serve", async () => {
    const options = { port: 0, host: "localhost", signals: [], logger: memoryLogger() } as const;
    const app = () => demoApp({ ownOrigin: api, otherOrigin: other, metricsOrigin, ...modules, ...quiet });
    const secure = await serve(app(), { ...options, http2: true, tls: await certificate() });
    const session = connectHttp2(secure.url);
    for (const [authority, status] of [
      [REBOUND, 421],
      [`${REBOUND}:443`, 421],
      ["localhost", 200],
    ] as const) {
      expect((await ask(session, "/hello", { headers: { ":authority": authority } })).status).toBe(status);
    }
    session.destroy();
    const plain = await serve(app(), options);
    const target = `GET http://${REBOUND}/hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    expect((await raw(Number(new URL(plain.url).port), target)).text).toMatch(/^HTTP\/1\.1 421 /);
    await Promise.all([secure.close(), plain.close()]);
  });
});
