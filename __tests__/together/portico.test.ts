import express from "express";
import { Registry } from "prom-client";
import request from "supertest";
import { cache, memoryStore } from "../../src/cache/index.js";
import type { ViolationReport } from "../../src/csp-reports/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { type PorticoOptions, portico } from "../../src/portico.js";
import { serve } from "../../src/serve/index.js";
import { checkPipeline } from "../../tools/check/index.js";
import { certificate } from "../support/certificate.js";
import { expressVersions } from "../support/express.js";
import { type Ask, ask, ask1, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, until } from "../support/server.js";

afterEach(closeServers);
afterEach(closeHttp2);

const PAGE = "https://app.example";
const LONG = "a line of a page; ".repeat(200);
const REPORT = JSON.stringify({ "csp-report": { "blocked-uri": "inline" } });
const FORGED = { origin: "https://evil.example", "sec-fetch-site": "cross-site" };

function appWith(options: PorticoOptions, from: typeof express = express) {
  const { before, after } = portico({ log: false, context: { check: false }, ...options });
  const app = from();
  let runs = 0;
  app.use(before);
  app.get("/page", (_req, res) => {
    runs++;
    res.set("Cache-Control", "public, max-age=60").type("text").send(LONG);
  });
  app.get("/slow", () => void runs++);
  app.post("/order", (_req, res) => void res.status(201).send("ordered"));
  app.post("/body", from.text(), (_req, res) => {
    runs++;
    res.send("read");
  });
  app.get("/fails", () => {
    throw new Error("secret");
  });
  app.use(after);
  return { app, runs: () => runs };
}

describe.each(expressVersions)("each member alone, on %s", (_version, from) => {
  it.each<[string, PorticoOptions, (agent: ReturnType<typeof request>) => request.Test, number, object]>([
    ["allowedHosts", { allowedHosts: ["a.example"] }, (a) => a.get("/page"), 421, {}],
    [
      "cors",
      { cors: { origin: PAGE } },
      (a) => a.get("/page").set("Origin", PAGE),
      200,
      { "access-control-allow-origin": PAGE },
    ],
    [
      "cspReports",
      { cspReports: { path: "/csp-reports", onReport() {} } },
      (a) => a.post("/csp-reports").set("Content-Type", "application/csp-report").send(REPORT),
      204,
      {},
    ],
    ["csrf", { csrf: {} }, (a) => a.post("/order").set(FORGED), 403, {}],
    ["metrics", { metrics: { registry: new Registry() } }, (a) => a.get("/page"), 200, {}],
    ["loadShed", { loadShed: { limit: 1 } }, (a) => a.get("/page"), 200, {}],
    ["cache", { cache: {} }, (a) => a.get("/page"), 200, { "cache-status": /^portico; fwd=uri-miss/ }],
    [
      "compress",
      { compress: {} },
      (a) => a.get("/page").set("Accept-Encoding", "gzip"),
      200,
      { "content-encoding": "gzip" },
    ],
    ["timeout", { timeout: 20 }, (a) => a.get("/slow"), 503, {}],
    ["bodyLimit", { bodyLimit: "1kb" }, (a) => a.post("/order").send({ text: LONG }), 413, {}],
    ["bodyLimit's options", { bodyLimit: { limit: 1_000 } }, (a) => a.post("/order").send(LONG), 413, {}],
    ["timeout's options", { timeout: { ms: 20, status: 504 } }, (a) => a.get("/slow"), 504, {}],
    ["notFound", {}, (a) => a.delete("/page"), 405, { allow: "GET, HEAD, OPTIONS" }],
    ["recover", { recover: { logger: memoryLogger() } }, (a) => a.get("/fails"), 500, {}],
  ])("%s", async (_name, options, send, status, headers) => {
    const alone: PorticoOptions = { headers: false, ...options };
    const answer = await send(request(appWith(alone, from).app));
    expect(answer.status).toBe(status);
    for (const [name, value] of Object.entries(headers)) expect(answer.headers[name]).toMatch(value);
    expect(answer.headers).not.toHaveProperty("x-frame-options");
  });
});

/** All members; the log has one record for each request. */
function whole(from: typeof express = express, deadlineMs = 50) {
  const logger = memoryLogger();
  const reports: ViolationReport[] = [];
  const registry = new Registry();
  const made = appWith(
    {
      log: {},
      metrics: { registry },
      allowedHosts: ["localhost", "127.0.0.1"],
      cors: { origin: PAGE, credentials: true },
      cspReports: { path: "/csp-reports", onReport: (report) => reports.push(report) },
      csrf: {},
      loadShed: { limit: 2 },
      cache: {},
      compress: {},
      timeout: deadlineMs,
      bodyLimit: 1_000,
      logger,
    },
    from,
  );
  return { ...made, logger, reports, registry };
}

interface Side {
  readonly send: (path: string, options?: Ask) => ReturnType<typeof ask>;
  readonly close: () => Promise<void>;
}
const SIDES: [string, typeof express, (app: express.Express) => Promise<Side>][] = [
  ...expressVersions.map(([name, from]): (typeof SIDES)[number] => [
    name,
    from,
    async (app) => {
      const { url } = await listen(app);
      return { send: (path, options) => ask1(url, path, options), close: async () => {} };
    },
  ]),
  [
    "HTTP/2",
    express,
    async (app) => {
      const served = await serve(app, {
        port: 0,
        host: "localhost",
        http2: true,
        tls: await certificate(),
        signals: [],
        drain: { idleGraceMs: 0 },
        logger: memoryLogger(),
      });
      const session = connectHttp2(served.url);
      return {
        send: (path, options) => ask(session, path, options),
        close: async () => void (await served.close()),
      };
    },
  ],
];

describe.each(SIDES)("all members together, on %s", (name, from, start) => {
  const hostField = (host: string) => (name === "HTTP/2" ? { ":authority": host } : { host });
  let side: Side;
  let stack: ReturnType<typeof whole>;
  beforeEach(async () => {
    stack = whole(from);
    side = await start(stack.app);
  });
  afterEach(() => side.close());

  it("are in the order of the contract", () => {
    const names = portico({
      context: {},
      metrics: { registry: new Registry() },
      allowedHosts: "a.example",
      cors: {},
      cspReports: { path: "/csp", onReport() {} },
      csrf: {},
      loadShed: {},
      cache: {},
      compress: {},
      timeout: 1,
      bodyLimit: 1,
    });
    expect([...names.before, ...names.after].map((handler) => handler.name)).toEqual([
      "requestContext",
      "requestLog",
      "metrics",
      "allowedHosts",
      "securityHeaders",
      "cors",
      "when(cspReports)",
      "csrf",
      "loadShed",
      "cache",
      "compress",
      "timeout",
      "bodyLimit",
      "notFound",
      "recover",
    ]);
  });

  it("a host that is refused gets no security or CORS headers, and one record", async () => {
    const { status, headers } = await side.send("/page", {
      headers: { ...hostField("evil.example"), origin: PAGE },
    });
    expect(status).toBe(421);
    expect(headers).toMatchObject({ "x-request-id": expect.any(String) });
    expect(headers).not.toHaveProperty("access-control-allow-origin");
    expect(headers).not.toHaveProperty("x-frame-options");
    await until(() => stack.logger.entries.length === 1);
    expect(stack.logger.entries[0]!.fields).toMatchObject({
      status: 421,
      refused: { by: "allowedHosts", reason: "not-listed" },
    });
  });

  it("each refusal and failure is counted once, with its route and never with a host or a path", async () => {
    const asks: [string, Ask, number][] = [
      ["/page", { headers: { ...hostField("evil.example") } }, 421],
      ["/order", { method: "POST", headers: FORGED }, 403],
      ["/order", { method: "POST", headers: { "content-length": String(LONG.length) }, body: LONG }, 413],
      ["/slow", {}, 503],
      ["/nothing/12345", {}, 404],
      ["/page", {}, 200],
      ["/page", {}, 200],
      ["/fails", {}, 500], // last: over HTTP/2 the session takes no more requests
    ];
    for (const [path, options, expected] of asks) {
      expect((await side.send(path, options)).status).toBe(expected);
    }
    await until(() => stack.logger.entries.filter(({ fields }) => "status" in fields).length === asks.length);
    const text = await stack.registry.metrics();
    const counts = (name: string) =>
      text
        .split("\n")
        .filter((line) => line.startsWith(`${name}{`) && !line.endsWith(" 0"))
        .map((line) => line.slice(name.length))
        .sort();
    expect(counts("portico_refused_total")).toEqual([
      '{by="allowedHosts",reason="not-listed"} 1',
      '{by="bodyLimit",reason="size"} 1',
      '{by="csrf",reason="sec-fetch-site"} 1',
      '{by="timeout",reason="deadline"} 1',
    ]);
    // The cache's answer to the second GET of /page comes from no route.
    const durations = counts("http_server_request_duration_seconds_count");
    expect(durations).toHaveLength(asks.length);
    expect(durations).toContainEqual(expect.stringMatching(/http_route="\/page".*status_code="200".* 1$/));
    expect(counts("portico_cache_total")).toContainEqual('{result="hit"} 1');
    expect(text).not.toMatch(/evil|12345/);
  });

  it("what is over the limit of loadShed gets 503 at once, readable by a page of another origin", async () => {
    await side.close();
    stack = whole(from, 2_000);
    side = await start(stack.app);
    const held = [side.send("/slow?1"), side.send("/slow?2")];
    await until(() => stack.runs() === 2);
    const { status, headers } = await side.send("/page", { headers: { origin: PAGE } });
    expect(status).toBe(503);
    expect(headers).toMatchObject({
      "retry-after": expect.stringMatching(/^[1-5]$/),
      "cache-control": "no-store",
      "access-control-allow-origin": PAGE,
    });
    await Promise.all(held);
    await until(() => stack.logger.entries.length >= 3);
    expect(stack.logger.entries.map(({ fields }) => fields.refused)).toContainEqual({
      by: "loadShed",
      reason: "limit",
    });
    expect((await side.send("/page")).status).toBe(200);
  });

  it("a report of another site's page passes csrf, and is answered before the cache", async () => {
    const { status, headers } = await side.send("/csp-reports/", {
      method: "POST",
      headers: { ...FORGED, "content-type": "application/csp-report" },
      body: REPORT,
    });
    expect(status).toBe(204);
    expect(headers).toMatchObject({ "x-frame-options": "deny", vary: expect.stringMatching(/Origin/) });
    expect(headers).not.toHaveProperty("cache-status");
    await until(() => stack.reports.length === 1);
    expect(stack.reports[0]).toMatchObject({ type: "csp-violation", blockedUrl: "inline" });
  });

  it("a forged request is refused below cors and above the cache; the pages of cors pass", async () => {
    const forged = { method: "POST", headers: { ...FORGED }, body: "a=b" };
    const refused = await side.send("/order", forged);
    expect(refused.status).toBe(403);
    expect(refused.headers).toMatchObject({
      "x-frame-options": "deny",
      vary: expect.stringMatching(/Origin/),
    });
    expect(refused.headers).not.toHaveProperty("cache-status");
    const allowed = await side.send("/order", { ...forged, headers: { ...FORGED, origin: PAGE } });
    expect([allowed.status, allowed.headers["access-control-allow-origin"]]).toEqual([201, PAGE]);
    await until(() => stack.logger.entries.length === 2);
    expect(stack.logger.entries.map(({ fields }) => [fields.status, fields.refused?.by])).toEqual([
      [403, "csrf"],
      [201, undefined],
    ]);
  });

  it("the cache stores what compress has encoded, without the CORS headers of one page", async () => {
    const ask = { headers: { "accept-encoding": "gzip", origin: PAGE } };
    const first = await side.send("/page", ask);
    const second = await side.send("/page", { headers: { "accept-encoding": "gzip" } });
    expect(first.headers).toMatchObject({
      "content-encoding": "gzip",
      "access-control-allow-origin": PAGE,
      "cache-status": expect.stringMatching(/stored/),
    });
    expect(second.headers["content-encoding"]).toBe("gzip");
    expect(second.headers).not.toHaveProperty("access-control-allow-origin");
    const third = await side.send("/page", ask);
    expect(third.headers["cache-status"]).toMatch(/; hit/);
    expect(third.body).toBe(first.body);
    expect(third.headers["x-request-id"]).not.toBe(first.headers["x-request-id"]);
    expect(stack.runs()).toBeLessThanOrEqual(2);
  });

  it("the 503 of timeout has the headers of the outer members, and is not stored", async () => {
    for (const runs of [1, 2]) {
      const { status, headers } = await side.send("/slow", { headers: { origin: PAGE } });
      expect(status).toBe(503);
      expect(headers).toMatchObject({
        "x-frame-options": "deny",
        "access-control-allow-origin": PAGE,
        "cache-control": "no-store",
      });
      expect(stack.runs()).toBe(runs);
    }
    await until(() => stack.logger.entries.length >= 2);
    expect(stack.logger.entries.map(({ fields }) => [fields.status, fields.timedOut])).toEqual([
      [503, true],
      [503, true],
    ]);
  });

  it.each([
    ["a body of known length", { "content-length": String(LONG.length) }],
    ["a body of unknown length", {}],
  ])("%s that is too large gets a 413 that a page can read, and one record", async (_name, length) => {
    const { status, headers } = await side.send("/body", {
      method: "POST",
      headers: { origin: PAGE, "content-type": "text/plain", ...length },
      body: LONG,
    });
    expect(status).toBe(413);
    expect(headers).toMatchObject({ "x-frame-options": "deny", "access-control-allow-origin": PAGE });
    expect(stack.runs()).toBe(0);
    await until(() => stack.logger.entries.length >= 1);
    expect(stack.logger.entries.map(({ fields }) => [fields.status, fields.refused])).toEqual([
      [413, { by: "bodyLimit", reason: "size" }],
    ]);
  });

  it("a forged request is refused before bodyLimit", async () => {
    const sent = { method: "POST", headers: { ...FORGED }, body: LONG };
    expect((await side.send("/body", sent)).status).toBe(403);
  });

  it("an error is one record with its stack, and its answer has all headers", async () => {
    const { status, headers } = await side.send("/fails", { headers: { origin: PAGE } });
    expect(status).toBe(500);
    expect(headers).toMatchObject({ "x-frame-options": "deny", "access-control-allow-origin": PAGE });
    await until(() => stack.logger.entries.length >= 1);
    expect(stack.logger.entries.map(({ fields }) => [fields.status, typeof fields.error.stack])).toEqual([
      [500, "string"],
    ]);
  });
});

describe("cspReports", () => {
  const send = (options: PorticoOptions, path: string) =>
    request(appWith(options).app).post(path).set("Content-Type", "application/csp-report").send(REPORT);

  it.each([
    ["/csp-reports", 204],
    ["/csp-reports/", 204],
    ["/CSP-Reports", 204],
    ["/csp-reports?x=1", 204],
    ["/csp-reports/more", 404],
    ["/csp-reportsmore", 404],
    ["/", 404],
  ])("answers at its path alone: %s is %i", async (path, status) => {
    expect((await send({ cspReports: { path: "/csp-reports", onReport() {} } }, path)).status).toBe(status);
  });

  it("its path is relative to where `before` is mounted", async () => {
    const { before } = portico({ log: false, cspReports: { path: "/csp", onReport() {} } });
    const app = express().use("/api", ...before);
    const post = (path: string) =>
      request(app).post(path).set("Content-Type", "application/csp-report").send(REPORT);
    expect([(await post("/api/csp")).status, (await post("/csp")).status]).toEqual([204, 404]);
  });

  it.each([
    [PAGE, PAGE],
    ["https://other.example", undefined],
  ])("pages of other origins can report if cors allows them: %s", async (origin, allowed) => {
    const { app } = appWith({ cors: { origin: PAGE }, cspReports: { path: "/csp", onReport() {} } });
    const preflight = await request(app).options("/csp").set({
      Origin: origin,
      "Access-Control-Request-Method": "POST",
      "Access-Control-Request-Headers": "content-type",
    });
    expect(preflight.headers["access-control-allow-origin"]).toBe(allowed);
  });

  it("gets the common logger", async () => {
    const logger = memoryLogger();
    await send({ cspReports: { path: "/csp" }, logger }, "/csp");
    await until(() => logger.entries.length === 1);
    expect(logger.entries[0]!.fields).toMatchObject({ blockedUrl: "inline" });
  });
});

it("entries of the cache can be removed through another cache with its store", async () => {
  const store = memoryStore();
  const { app, runs } = appWith({ cache: { store } });
  const stored = cache({ store });
  const { url } = await listen(app);
  await ask1(url, "/page");
  await ask1(url, "/page");
  expect(runs()).toBe(1);
  await stored.purge("/page");
  await ask1(url, "/page");
  expect(runs()).toBe(2);
});

it("the check has no advice for an app of all members", () => {
  expect(checkPipeline(whole().app).map(({ rule, at }) => `${rule} ${at}`)).toEqual([]);
});

describe("problems", () => {
  const problemsOf = (options: unknown) => {
    try {
      portico(options as PorticoOptions);
    } catch (error) {
      if (error instanceof ConfigError) return error.problems.map(({ option, code }) => `${option} ${code}`);
    }
    return undefined;
  };

  it("those of several members are thrown at once, each with the path of its member", () => {
    const wrong = {
      context: { trustRequestID: true },
      cors: { maxAge: -1 },
      metrics: {},
      cspReports: { path: "csp", maxBytes: 0 },
      loadShed: { limit: 0 },
      cache: { name: "a b" },
      compress: { levels: { br: 12 } },
      timeout: -1,
      bodyLimit: "10 parsecs",
      recover: { lingerMs: "x" },
    };
    expect(problemsOf(wrong)).toEqual([
      "context.trustRequestID ERR_PORTICO_UNKNOWN_OPTION",
      "metrics.registry ERR_PORTICO_MISSING_OPTION",
      "cors.maxAge ERR_PORTICO_INVALID_OPTION",
      "cspReports.path ERR_PORTICO_INVALID_OPTION",
      "cspReports.onReport ERR_PORTICO_MISSING_OPTION",
      "cspReports.maxBytes ERR_PORTICO_INVALID_OPTION",
      "loadShed.limit ERR_PORTICO_INVALID_OPTION",
      "cache.name ERR_PORTICO_INVALID_OPTION",
      "compress.levels.br ERR_PORTICO_INVALID_OPTION",
      "timeout.ms ERR_PORTICO_INVALID_OPTION",
      "bodyLimit.limit ERR_PORTICO_INVALID_OPTION",
      "recover.lingerMs ERR_PORTICO_INVALID_OPTION",
    ]);
    expect(() => portico(wrong as never)).toThrow(
      /12 problems with the options of portico\(\):.*\n {2}- compress\.levels\.br: received 12/s,
    );
  });

  it.each<[unknown, string[] | undefined]>([
    [{ timeout: undefined }, ["timeout ERR_PORTICO_UNDEFINED_OPTION"]],
    [{ bodyLimit: undefined }, ["bodyLimit ERR_PORTICO_UNDEFINED_OPTION"]],
    [{ loadShed: undefined }, ["loadShed ERR_PORTICO_UNDEFINED_OPTION"]],
    [
      { loadShed: true, metrics: true },
      ["metrics", "loadShed"].map((name) => `${name} ERR_PORTICO_INVALID_OPTION`),
    ],
    [{ loadShed: false, metrics: false }, undefined],
    [{ metrics: undefined }, undefined],
    [{ bodyLimit: true, timeout: false }, ["bodyLimit ERR_PORTICO_INVALID_OPTION"]],
    [{ timeout: { ms: undefined } }, ["timeout.ms ERR_PORTICO_UNDEFINED_OPTION"]],
    [{ timeout: 0 }, ["timeout.ms ERR_PORTICO_INVALID_OPTION"]],
    [
      { timeout: true, cache: true, compress: true, cspReports: true },
      ["cspReports", "cache", "compress", "timeout"].map((name) => `${name} ERR_PORTICO_INVALID_OPTION`),
    ],
    [{ cache: 5 }, ["cache ERR_PORTICO_INVALID_OPTION"]],
    [{ cspReports: "/csp" }, ["cspReports ERR_PORTICO_INVALID_OPTION"]],
    [{ cspReports: { onReport() {} } }, ["cspReports.path ERR_PORTICO_MISSING_OPTION"]],
    [{ cspReports: { path: "/:id", onReport() {} } }, ["cspReports.path ERR_PORTICO_INVALID_OPTION"]],
    [{ cspReports: { path: "/", onReport() {} } }, ["cspReports.path ERR_PORTICO_INVALID_OPTION"]],
    [{ compres: {} }, ["compres ERR_PORTICO_UNKNOWN_OPTION"]],
    [{ cache: undefined, compress: undefined, cspReports: undefined, cors: undefined }, undefined],
    [{ timeout: false, cache: false, compress: false, cspReports: false, bodyLimit: false }, undefined],
  ])("%j", (options, problems) => {
    expect(problemsOf(options)).toEqual(problems);
  });
});
