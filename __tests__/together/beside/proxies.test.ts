import http from "node:http";
import https from "node:https";
import express, { type Request } from "express";
import { createProxyMiddleware, type Options } from "http-proxy-middleware";
import { allowedHosts, csrf, requestContext, requestLog } from "../../../src/index.js";
import { memoryStream } from "../../request-log/memory.js";
import { certificate } from "../../support/certificate.js";
import { expressVersions } from "../../support/express.js";
import { ask1 } from "../../support/http2.js";
import { closeServers, listen, until } from "../../support/server.js";

// What docs/proxies.md says, with real proxies: every connection is made from an address of its own in 127.0.0.0/8.

afterEach(closeServers);

const [CLIENT, OUTER, INNER] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"] as const;
const FORGED = "192.0.2.1";

/** A proxy in front of `target`, which connects to it from `address`. */
async function proxy(target: string, address: string, options: Options<Request> = {}): Promise<string> {
  const agent = new http.Agent({ localAddress: address });
  const app = express();
  app.use(createProxyMiddleware<Request>({ target, agent, xfwd: true, ...options }));
  return (await listen(app)).url;
}

function ask(url: string, headers: http.OutgoingHttpHeaders = {}, method = "GET") {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const options = { method, headers, localAddress: CLIENT, agent: false } as const;
    const sent = http.request(`${url}/where`, options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => {
        body += text;
      });
      response.on("end", () => resolve({ status: response.statusCode!, body }));
    });
    sent.on("error", reject).end();
  });
}

describe.each(expressVersions)("on %s", (_version, make) => {
  async function appWith(trust: unknown, use: (app: express.Express) => void = () => {}) {
    const stream = memoryStream();
    const app = make();
    app.set("trust proxy", trust);
    app.use(requestContext({ check: false }), requestLog({ stream, format: "json" }));
    use(app);
    app.all("/where", (req, res) => {
      res.json({ ip: req.ip, forwardedFor: req.get("x-forwarded-for"), host: req.hostname });
    });
    return { url: (await listen(app)).url, stream };
  }

  it.each<[string, number, unknown, string]>([
    ["no proxy, nothing set", 0, false, CLIENT],
    ["one proxy, nothing set: it is the client of all", 1, false, OUTER],
    ["one proxy, 1", 1, 1, CLIENT],
    ["two proxies, 1: the outer one is the client of all", 2, 1, OUTER],
    ["two proxies, 2", 2, 2, CLIENT],
    ["two proxies, their addresses", 2, [OUTER, INNER], CLIENT],
    ["one proxy, true: the client chooses", 1, true, FORGED],
    ["one proxy, a number too large: the client chooses", 1, 2, FORGED],
    ["no proxy, a number: the client chooses", 0, 1, FORGED],
  ])("%s", async (_name, count, trust, expected) => {
    const { url, stream } = await appWith(trust);
    let entry = url;
    if (count === 2) entry = await proxy(entry, INNER);
    if (count >= 1) entry = await proxy(entry, OUTER);
    const { body } = await ask(entry, { "x-forwarded-for": FORGED });
    expect(JSON.parse(body).ip).toBe(expected);
    await until(() => stream.entries.length === 1);
    expect(stream.entries[0]!.remoteAddress).toBe(expected);
  });

  it("the number is the client's place from the right, as the page counts it", async () => {
    const { url } = await appWith(2);
    const entry = await proxy(await proxy(url, INNER), OUTER);
    const { forwardedFor } = JSON.parse((await ask(entry, { "x-forwarded-for": FORGED })).body);
    const entries = forwardedFor.split(/, */);
    expect(entries.length - entries.lastIndexOf(CLIENT)).toBe(2);
  });

  it("Azure's port is left out in the log, and not in req.ip", async () => {
    const { url, stream } = await appWith(1);
    const { body } = await ask(url, { "x-forwarded-for": "203.0.113.9:51234" });
    expect(JSON.parse(body).ip).toBe("203.0.113.9:51234");
    await until(() => stream.entries.length === 1);
    expect(stream.entries[0]!.remoteAddress).toBe("203.0.113.9");
  });

  describe("a proxy of a development server, on a page whose browser sends no Sec-Fetch-Site", () => {
    const page = { host: "192.168.1.5:5173", origin: "http://192.168.1.5:5173" };
    it.each<[string, Options<Request>, unknown, number]>([
      ["changeOrigin, as Vite's short form has it", { xfwd: false, changeOrigin: true }, false, 403],
      ["changeOrigin and xfwd, nothing trusted", { changeOrigin: true }, false, 403],
      ["changeOrigin and xfwd, the proxy trusted", { changeOrigin: true }, OUTER, 200],
      ["the page's Host", { xfwd: false }, false, 200],
    ])("csrf, %s", async (_name, options, trust, status) => {
      const { url } = await appWith(trust, (app) => app.use(csrf()));
      const entry = await proxy(url, OUTER, options);
      expect((await ask(entry, page, "POST")).status).toBe(status);
    });
  });

  it.each<[string, Options<Request>, unknown, http.OutgoingHttpHeaders, number]>([
    ["a proxy that changes Host", { xfwd: false, changeOrigin: true }, false, { host: "shop.example" }, 421],
    ["a proxy that tells it, trusted", { changeOrigin: true }, OUTER, { host: "shop.example" }, 200],
    ["another host through a trusted proxy", {}, OUTER, { host: "evil.example" }, 421],
    [
      "a client that names an allowed host, where every peer is trusted",
      { xfwd: false },
      true,
      { host: "evil.example", "x-forwarded-host": "shop.example" },
      200,
    ],
    [
      "the same, where none is trusted",
      { xfwd: false },
      false,
      { host: "evil.example", "x-forwarded-host": "shop.example" },
      421,
    ],
  ])("allowedHosts, %s", async (_name, options, trust, headers, status) => {
    const { url } = await appWith(trust, (app) => app.use(allowedHosts("shop.example")));
    const entry = await proxy(url, OUTER, options);
    expect((await ask(entry, headers)).status).toBe(status);
  });

  it("the scheme that the client used comes from a proxy that ends TLS", async () => {
    for (const [trust, expected] of [
      [false, "http false"],
      [OUTER, "https true"],
    ] as const) {
      const { url } = await appWith(trust, (app) => {
        app.get("/scheme", (req, res) => void res.send(`${req.protocol} ${req.secure}`));
      });
      const agent = new http.Agent({ localAddress: OUTER });
      const front = express().use(createProxyMiddleware<Request>({ target: url, agent, xfwd: true }));
      const server = https.createServer(await certificate(), front);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      try {
        const { port } = server.address() as { port: number };
        expect((await ask1(`https://127.0.0.1:${port}`, "/scheme")).body).toBe(expected);
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    }
  });
});
