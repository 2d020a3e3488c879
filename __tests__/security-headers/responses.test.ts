import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express5, { type RequestHandler } from "express";
import request, { type Test } from "supertest";
import { securityHeaders } from "../../src/security-headers/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";

const folder = mkdtempSync(join(tmpdir(), "portico-headers-"));
mkdirSync(join(folder, "sub"));
writeFileSync(join(folder, "file.txt"), "0123456789");
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(closeServers);

const REPAIRED = "default-src 'none'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'";
const WHOLE =
  "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

describe.each(expressVersions)("on %s", (_version, express) => {
  function app(...more: RequestHandler[]) {
    const made = express();
    made.use(securityHeaders(), ...more);
    made.get("/ok", (_req, res) => void res.send("ok"));
    made.get("/empty", (_req, res) => void res.status(204).end());
    made.get("/etag", (_req, res) => void res.set("ETag", '"v1"').send("ok"));
    made.get("/stream", (_req, res) => {
      res.write("a");
      res.end("b");
    });
    made.get("/events", (_req, res) => {
      res.writeHead(200, { "Content-Type": "text/event-stream" });
      res.flushHeaders();
      res.end("data: 1\n\n");
    });
    made.get("/closed", (_req, res) => void res.status(401).send("no"));
    made.get("/slow-down", (_req, res) => void res.sendStatus(429));
    made.get("/moved", (_req, res) => res.redirect("/ok"));
    made.post("/json", express.json({ limit: 10 }), (_req, res) => void res.end());
    made.get("/item/:id", (_req, res) => void res.send("item"));
    made.get("/boom", () => {
      throw new Error("boom");
    });
    made.use("/static", express.static(folder));
    return made;
  }

  beforeEach(() => void jest.spyOn(console, "error").mockImplementation(() => {}));
  afterEach(() => void jest.restoreAllMocks());

  type Ask = (agent: ReturnType<typeof request>) => Test;
  it.each<[string, number, Ask, string]>([
    ["an answer", 200, (a) => a.get("/ok"), WHOLE],
    ["a HEAD", 200, (a) => a.head("/ok"), WHOLE],
    ["an OPTIONS that Express answers", 200, (a) => a.options("/ok"), WHOLE],
    ["an empty answer", 204, (a) => a.get("/empty"), WHOLE],
    ["an answer not modified", 304, (a) => a.get("/etag").set("If-None-Match", '"v1"'), WHOLE],
    ["a stream", 200, (a) => a.get("/stream"), WHOLE],
    ["a stream of events", 200, (a) => a.get("/events"), WHOLE],
    ["a 401", 401, (a) => a.get("/closed"), WHOLE],
    ["a 429", 429, (a) => a.get("/slow-down"), WHOLE],
    ["a redirect", 302, (a) => a.get("/moved"), WHOLE],
    ["a file", 200, (a) => a.get("/static/file.txt"), WHOLE],
    ["a part of a file", 206, (a) => a.get("/static/file.txt").set("Range", "bytes=0-3"), WHOLE],
    ["a static directory's redirect", 301, (a) => a.get("/static/sub"), REPAIRED],
    ["Express's own 404", 404, (a) => a.get("/nothing"), REPAIRED],
    ["Express's own 500", 500, (a) => a.get("/boom"), REPAIRED],
    ["Express's own 413", 413, (a) => a.post("/json").send({ much: "too much" }), REPAIRED],
    ["Express's own 400", 400, (a) => a.get("/item/%zz"), REPAIRED],
  ])("%s (%i) carries them all, and no X-Powered-By", async (_name, status, ask, policy) => {
    const { headers } = await ask(request(app()))
      .redirects(0)
      .ok(() => true)
      .expect(status);
    expect(headers).toMatchObject({
      "content-security-policy": policy,
      "referrer-policy": "origin-when-cross-origin",
      "x-content-type-options": "nosniff",
      "x-frame-options": "deny",
      "x-xss-protection": "0",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
    });
    expect(headers).not.toHaveProperty("x-powered-by");
    expect(headers).not.toHaveProperty("strict-transport-security");
  });

  it.each<[string, RequestHandler]>([
    ["setHeader", (_req, res) => void res.setHeader("X-Frame-Options", "sameorigin").end()],
    ["setHeader in small letters", (_req, res) => void res.setHeader("x-frame-options", "sameorigin").end()],
    ["res.set", (_req, res) => void res.set({ "X-Frame-Options": "sameorigin" }).send("x")],
    ["writeHead", (_req, res) => void res.writeHead(200, { "X-Frame-Options": "sameorigin" }).end()],
    ["writeHead's list", (_req, res) => void res.writeHead(200, ["X-Frame-Options", "sameorigin"]).end()],
  ])("a handler's own header wins, and is sent once: %s", async (_name, handler) => {
    const made = app();
    made.get("/own", handler);
    const { port } = await listen(made);
    const { text } = await raw(port, "GET /own HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(text.match(/^x-frame-options: .*$/gim)).toEqual([
      expect.stringMatching(/^x-frame-options: sameorigin$/i),
    ]);
    expect(text.match(/^content-security-policy:/gim)).toHaveLength(1);
  });

  it("a handler can remove a header", async () => {
    const made = app();
    made.get("/own", (_req, res) => {
      res.removeHeader("Content-Security-Policy");
      res.end();
    });
    const { headers } = await request(made).get("/own");
    expect(headers).not.toHaveProperty("content-security-policy");
    expect(headers).toHaveProperty("x-frame-options");
  });

  it("a handler's own policy is not touched: not on an error, not if it reads as Express's own", async () => {
    const made = app();
    made.get("/own", (_req, res) => void res.status(404).set("Content-Security-Policy", "img-src *").end());
    made.get("/none", (_req, res) => void res.set("Content-Security-Policy", "default-src 'none'").end());
    expect((await request(made).get("/own")).headers["content-security-policy"]).toBe("img-src *");
    expect((await request(made).get("/none")).headers["content-security-policy"]).toBe("default-src 'none'");
  });

  it("Express's own pages keep Express's policy if ours is off or only reported", async () => {
    for (const contentSecurityPolicy of [false, { reportOnly: true }] as const) {
      const made = express();
      made.use(securityHeaders({ contentSecurityPolicy }));
      const { headers } = await request(made).get("/nothing").expect(404);
      expect(headers["content-security-policy"]).toBe("default-src 'none'");
    }
  });

  it.each<[string, unknown, string, boolean]>([
    ["a trusted proxy that says https", true, "https", true],
    ["a trusted proxy that says http", true, "http", false],
    ["a trusted proxy that says nothing of use", true, "", false],
    ["an untrusted peer that says https", false, "https", false],
    ["a proxy at another address", "10.0.0.1", "https", false],
  ])("behind %s", async (_name, trust, proto, tls) => {
    const made = express();
    made.set("trust proxy", trust);
    made.use(securityHeaders());
    const { headers } = await request(made).get("/").set("X-Forwarded-Proto", proto);
    expect("strict-transport-security" in headers).toBe(tls);
    made.get("/ok", (_req, res) => void res.send("ok"));
    const ok = await request(made).get("/ok").set("X-Forwarded-Proto", proto);
    expect(/upgrade-insecure-requests/.test(ok.headers["content-security-policy"]!)).toBe(tls);
  });

  it("cacheControl is for responses whose handler sets none", async () => {
    const made = express();
    made.use(securityHeaders({ cacheControl: "no-store" }));
    made.get("/ok", (_req, res) => void res.send("ok"));
    made.get("/own", (_req, res) => void res.set("Cache-Control", "max-age=60").send("ok"));
    made.get("/head", (_req, res) => void res.writeHead(200, { "cache-control": "max-age=61" }).end());
    made.get("/closed", (_req, res) => void res.status(403).end());
    made.use("/static", express.static(folder, { maxAge: 5000 }));
    const told = async (path: string) => (await request(made).get(path)).headers["cache-control"];
    expect(await told("/ok")).toBe("no-store");
    expect(await told("/closed")).toBe("no-store");
    expect(await told("/nothing")).toBe("no-store");
    expect(await told("/own")).toBe("max-age=60");
    expect(await told("/head")).toBe("max-age=61");
    expect(await told("/static/file.txt")).toBe("public, max-age=5");
  });
});

it("override: false does not replace headers that are already set", async () => {
  const made = express5();
  made.use((_req, res, next) => {
    res.set({ "X-Frame-Options": "sameorigin", "Content-Security-Policy": "img-src *" });
    next();
  });
  made.use(securityHeaders({ preset: "page", override: false }));
  made.get("/", (_req, res) => void res.send(String(res.locals.cspNonce)));
  const { headers, text } = await request(made).get("/");
  expect(headers["x-frame-options"]).toBe("sameorigin");
  expect(headers["content-security-policy"]).toBe("img-src *");
  expect(headers["x-content-type-options"]).toBe("nosniff");
  expect(text).toBe("undefined");
});

it("works on plain node:http, where there is no req.secure", async () => {
  const handler = securityHeaders({ preset: "page" });
  const { url } = await listen((req, res) => {
    handler(req as never, res as never, () =>
      res.end((res as unknown as { locals: { cspNonce: string } }).locals.cspNonce),
    );
  });
  const { headers, text } = await request(url).get("/");
  expect(headers["content-security-policy"]).toContain(`'nonce-${text}'`);
  expect(headers).not.toHaveProperty("strict-transport-security");
});

it("recognises a plain TLS socket", () => {
  const sent = new Map<string, string>();
  const res = { setHeader: (n: string, v: string) => sent.set(n, v), removeHeader() {}, writeHead() {} };
  securityHeaders()({ socket: { encrypted: true } } as never, res as never, () => {});
  expect(sent.get("Strict-Transport-Security")).toBe("max-age=31536000; includeSubDomains");
  expect(sent.get("Content-Security-Policy")).toMatch(/upgrade-insecure-requests$/);
});

it("works on HTTP/2's compatibility objects", async () => {
  const handler = securityHeaders({ preset: "page", cacheControl: "no-store" });
  const server = http2.createServer((req, res) => {
    handler(req as never, res as never, () => res.end("ok"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as import("node:net").AddressInfo;
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ":path": "/" });
  const headers = await new Promise<http2.IncomingHttpHeaders>((resolve) => stream.on("response", resolve));
  session.destroy();
  await new Promise((resolve) => server.close(resolve));
  expect(headers).toMatchObject({ "x-frame-options": "deny", "cache-control": "no-store" });
  expect(headers["content-security-policy"]).toContain("'nonce-");
});

it("does nothing when the response has begun", async () => {
  const made = express5();
  made.use((_req, res, next) => {
    res.write("begun");
    next();
  });
  made.use(securityHeaders());
  made.use((_req, res) => void res.end(", ended"));
  expect((await request(made).get("/").expect(200)).text).toBe("begun, ended");
});

it("has a name in printed stacks, and calls next once, without arguments", () => {
  const handler = securityHeaders();
  const next = jest.fn();
  const res = { setHeader() {}, removeHeader() {}, writeHead() {} };
  handler({ secure: false } as never, res as never, next);
  expect([handler.name, handler.length]).toEqual(["securityHeaders", 3]);
  expect(next.mock.calls).toEqual([[]]);
});
