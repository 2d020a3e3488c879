import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express, { Router } from "express";
import { createRequest, createResponse } from "node-mocks-http";
import request, { type Test } from "supertest";
import {
  apiKey,
  authenticate,
  authorize,
  bodyLimit,
  cors,
  csrf,
  health,
  loadShed,
  portico,
  recover,
} from "../../src/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, leastFirstByteMs, listen, raw, until } from "../support/server.js";

const ORIGIN = "https://app.example";
const SECURITY = {
  "content-security-policy": expect.stringContaining("frame-ancestors 'none'"),
  "x-content-type-options": "nosniff",
  "x-frame-options": "deny",
  "referrer-policy": "origin-when-cross-origin",
};

const readiness = health({ checks: { database: () => false } });
afterAll(() => readiness.close());
const full = loadShed({ limit: 1 });
full(createRequest() as never, createResponse() as never, () => {}); // never answered: it keeps the only place
const folder = mkdtempSync(join(tmpdir(), "portico-"));
writeFileSync(join(folder, "file.txt"), "0123456789");
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(closeServers);

describe.each(expressVersions)("on %s", (_version, express) => {
  const lines: string[] = [];
  function app() {
    lines.length = 0;
    const { before, after } = portico({
      cors: { origin: [ORIGIN], credentials: true, exposedHeaders: ["X-Request-Id"] },
      log: {
        format: "json",
        stream: { write: (text: string) => void lines.push(...text.split("\n").filter(Boolean)) },
      },
      recover: { logger: memoryLogger() },
    });
    const made = express();
    made.use(before);
    made.get("/ok", (_req, res) => void res.send("ok"));
    made.get("/etag", (_req, res) => void res.set("ETag", '"v1"').send("ok"));
    made.get("/item/:id", (_req, res) => void res.send("item"));
    made.get("/empty", (_req, res) => void res.status(204).end());
    made.get("/moved", (_req, res) => res.redirect("/ok"));
    made.get("/boom", () => {
      throw new Error("boom");
    });
    made.post("/json", express.json({ limit: 10 }), (req, res) => void res.json(req.body));
    made.post("/limited", bodyLimit(10), express.text(), (_req, res) => void res.send("read"));
    made.post("/timed", bodyLimit({ limit: 10, timeMs: 20 }), express.text(), (_req, res) => {
      res.send("read");
    });
    made.post("/own", csrf({ trustedOrigins: [] }), (_req, res) => void res.send("own"));
    made.get("/full", full, (_req, res) => void res.send("never"));
    made.use("/readyz", readiness);
    made.use("/static", express.static(folder));
    made.use("/in", authenticate(apiKey({ keys: ["sesame-open-sesame"] })));
    made.all("/in", (_req, res) => void res.send("in"));
    made.get(
      "/in/owner",
      authorize(() => false),
      (_req, res) => void res.send("never"),
    );
    made.use(after);
    return made;
  }

  const answers: [string, number, (agent: ReturnType<typeof request>) => Test][] = [
    ["an answer", 200, (a) => a.get("/ok")],
    ["a HEAD", 200, (a) => a.head("/ok")],
    ["an empty answer", 204, (a) => a.get("/empty")],
    ["a redirect", 302, (a) => a.get("/moved")],
    ["a static directory's redirect", 301, (a) => a.get("/static")],
    ["an answer not modified", 304, (a) => a.get("/etag").set("If-None-Match", '"v1"')],
    ["a part of a file", 206, (a) => a.get("/static/file.txt").set("Range", "bytes=0-3")],
    ["a 404", 404, (a) => a.get("/nothing")],
    ["a 401", 401, (a) => a.get("/in")],
    ["a 403", 403, (a) => a.get("/in/owner").set("X-Api-Key", "sesame-open-sesame")],
    ["a 500", 500, (a) => a.get("/boom")],
    ["a method that the path does not have", 405, (a) => a.delete("/ok")],
    ["a request too many", 503, (a) => a.get("/full")],
    ["a probe", 503, (a) => a.get("/readyz")],
    ["a probe by another method", 405, (a) => a.put("/readyz")],
    ["a forged request", 403, (a) => a.post("/own").set("Sec-Fetch-Site", "cross-site")],
    ["a body over the limit", 413, (a) => a.post("/limited").type("text").send("much too much")],
    [
      "a body that does not come in time",
      408,
      (a) => a.post("/timed").type("text").set("Content-Length", "9").send("abc"),
    ],
    ["a refused upload", 413, (a) => a.post("/json").send({ much: "too much" })],
    [
      "a body that is no JSON",
      400,
      (a) => a.post("/json").set("Content-Type", "application/json").send("{x"),
    ],
    ["an escape that is none", 400, (a) => a.get("/item/%zz")],
  ];

  it.each(
    answers,
  )("%s (%i) carries CORS and security headers, the id, and one log line", async (_name, status, ask) => {
    const res = await ask(request(app())).set("Origin", ORIGIN).expect(status);
    expect(res.headers).toMatchObject({
      ...SECURITY,
      "access-control-allow-origin": ORIGIN,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "X-Request-Id",
      vary: expect.stringMatching(/\bOrigin\b/),
      "x-request-id": expect.any(String),
    });
    expect(res.headers).not.toHaveProperty("x-powered-by");
    await new Promise((resolve) => setImmediate(resolve));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ status, requestId: res.headers["x-request-id"] });
  });

  it.each(
    answers,
  )("%s (%i) to another origin carries no Access-Control-*, but varies", async (_name, status, ask) => {
    const res = await ask(request(app())).set("Origin", "https://evil.example").expect(status);
    expect(Object.keys(res.headers).filter((name) => name.startsWith("access-control-"))).toEqual([]);
    expect(res.headers).toMatchObject({ ...SECURITY, vary: expect.stringMatching(/\bOrigin\b/) });
  });

  it("a real preflight never meets authenticate", async () => {
    const res = await request(app())
      .options("/in")
      .set({
        Origin: ORIGIN,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "x-api-key",
      })
      .expect(204);
    expect(res.headers).toMatchObject({ ...SECURITY, "access-control-allow-headers": "x-api-key" });
    expect(res.headers).not.toHaveProperty("www-authenticate");
  });

  it("an upload that is refused while it stalls is answered at once, with all headers", async () => {
    const server = await listen(app());
    const head = `POST /in HTTP/1.1\r\nHost: a\r\nOrigin: ${ORIGIN}\r\nContent-Length: 1000\r\n\r\nabc`;
    const { text } = await raw(server.port, head);
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
    expect(text).toContain(`Access-Control-Allow-Origin: ${ORIGIN}`);
    expect(text).toContain("X-Frame-Options: deny");
    expect(await leastFirstByteMs(() => raw(server.port, head))).toBeLessThan(50);
  });

  it("a chunked body over the limit is refused with all headers", async () => {
    const server = await listen(app());
    const head = `POST /limited HTTP/1.1\r\nHost: a\r\nOrigin: ${ORIGIN}\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const { text } = await raw(server.port, `${head}b\r\nmuch too mu\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toContain(`Access-Control-Allow-Origin: ${ORIGIN}`);
    expect(text).toContain("X-Frame-Options: deny");
    expect(text).toMatch(/\r\nConnection: close\r\n/);
    await until(() => lines.length === 1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      status: 413,
      refused: { by: "bodyLimit", reason: "size" },
    });
  });

  it("works with any member left out", async () => {
    const all = {
      cors: { origin: ORIGIN },
      log: { stream: { write: () => true } },
      recover: { logger: memoryLogger() },
    };
    const names = ["context", "log", "headers", "cors", "notFound", "recover"] as const;
    for (let mask = 0; mask < 2 ** names.length; mask++) {
      const off = Object.fromEntries(
        names.filter((_, i) => (mask & (1 << i)) !== 0).map((name) => [name, false]),
      );
      const { before, after } = portico({ ...all, ...off });
      const made = express();
      made.use(before);
      made.get("/ok", (_req, res) => void res.send("ok"));
      made.use(after);
      const res = await request(made).get("/ok").set("Origin", ORIGIN).expect(200, "ok");
      expect("access-control-allow-origin" in res.headers).toBe(off.cors !== false);
      expect("x-frame-options" in res.headers).toBe(off.headers !== false);
      expect("x-request-id" in res.headers).toBe(off.context !== false);
    }
  });
});

it("names its handlers, in their order", () => {
  const { before, after } = portico({ cors: {} });
  expect(before.map(({ name }) => name)).toEqual(["requestContext", "requestLog", "securityHeaders", "cors"]);
  expect(after.map(({ name }) => name)).toEqual(["notFound", "recover"]);
});

it("does not enable CORS unless it is given", () => {
  expect(portico().before.map(({ name }) => name)).not.toContain("cors");
});

it.each<[unknown, string, RegExp]>([
  [{ corz: {} }, "corz", /Did you mean "cors"/],
  [{ securityHeaders: {} }, "securityHeaders", /options are context, log/],
  [{ cors: true }, "cors", /origin: "\*"/],
  [{ log: true }, "log", /leave it out/],
  [{ headers: "api" }, "headers", /object/],
  [{ cors: { orgin: "x" } }, "cors.orgin", /Did you mean "origin"/],
  [{ recover: { linger: 1 } }, "recover.linger", /lingerMs/],
  [{ context: { check: 1 } }, "context.check", /true or false/],
  [{ headers: { preset: "pages" } }, "headers.preset", /"page"/],
  ["all", "options", /object/],
])("portico(%j) is refused", (options, option, reason) => {
  expect(() => portico(options as never)).toThrow(
    expect.objectContaining({
      name: "ConfigError",
      problems: [expect.objectContaining({ option, reason: expect.stringMatching(reason) })],
    }),
  );
});

it("names the problems of all members at once", () => {
  expect(() =>
    portico({ cors: { maxAge: -1 }, recover: { close: 1 }, log: { format: 1 }, nope: 1 } as never),
  ).toThrow(/4 problems.*\n.*nope.*\n.*log\.format.*\n.*cors\.maxAge.*\n.*recover\.close/);
});

it("keeps CORS on the error of a router that is wrapped", async () => {
  const router = Router();
  router.get("/boom", () => {
    throw new Error("boom");
  });
  const app = express();
  app.use(cors({ origin: ORIGIN }), recover.wrap(router, { logger: memoryLogger() }));
  const res = await request(app).get("/boom").set("Origin", ORIGIN).expect(500);
  expect(res.headers["access-control-allow-origin"]).toBe(ORIGIN);
});
