import express, { type RequestHandler, Router } from "express";
import { type Options, rateLimit, type Store } from "express-rate-limit";
import { Counter, Registry } from "prom-client";
import { around, cache, cors, recover, requestLog, timeout } from "../../../src/index.js";
import { ask1 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, raw, type TestServer, until } from "../../support/server.js";
import {
  captureOutput,
  fromPage,
  listenToExample,
  PAGE_ORIGIN,
  preflight,
  quiet,
  stalledPost,
  statusOf,
} from "./support.js";

describe("rate limits", () => {
  afterEach(async () => {
    jest.restoreAllMocks();
    await closeServers();
  });

  const one = (options: Partial<Options> = {}) => rateLimit({ windowMs: 60_000, limit: 1, ...options });
  const page = cors({ origin: PAGE_ORIGIN, exposedHeaders: ["Retry-After"] });
  const hello: RequestHandler = (_req, res) => void res.send("Hello");

  function appOf(...handlers: RequestHandler[]): express.Express {
    const app = express();
    app.use(...handlers);
    app.get("/", hello);
    app.use(recover({ logger: quiet }));
    return app;
  }

  describe("the examples", () => {
    beforeEach(() => void captureOutput());

    it("refuse the sixty-first request as a problem that a page can read, and count no preflight", async () => {
      const server = await listenToExample("express-rate-limit");
      for (let i = 0; i < 60; i++) {
        if (i < 5) expect(await statusOf(server, "/", preflight)).toBe(204);
        expect(await statusOf(server)).toBe(200);
      }
      const { status, headers, body } = await ask1(server.url, "/", { headers: fromPage });
      expect(status).toBe(429);
      expect(headers).toMatchObject({
        "access-control-allow-origin": PAGE_ORIGIN,
        "access-control-expose-headers": "Retry-After,RateLimit",
        "content-type": expect.stringContaining("application/problem+json"),
        "retry-after": expect.stringMatching(/^\d+$/),
        ratelimit: expect.stringContaining("r=0"),
        "x-content-type-options": "nosniff",
      });
      expect(JSON.parse(body)).toMatchObject({ status: 429, detail: "Too many requests." });
    });

    it("count wrong guesses by address, and good requests by user", async () => {
      const server = await listenToExample("express-rate-limit", 1);
      const withToken = (token: string) =>
        statusOf(server, "/", { headers: { authorization: `Bearer ${token}` } });
      for (let i = 0; i < 10; i++) expect(await withToken("let-me-in")).toBe(200);
      expect(await withToken("let-me-in")).toBe(429);
      for (let i = 0; i < 5; i++) expect(await withToken(`guess-${i}`)).toBe(401);
      expect(await withToken("guess-5")).toBe(429);
    });
  });

  it("before cors: its 429 has no CORS headers, and preflights are counted", async () => {
    const inside = await listen(appOf(page, one()));
    expect(await statusOf(inside, "/", preflight)).toBe(204);
    expect(await statusOf(inside)).toBe(200);
    const refused = await ask1(inside.url, "/", { headers: fromPage });
    expect(refused).toMatchObject({ status: 429, headers: { "access-control-allow-origin": PAGE_ORIGIN } });

    const outside = await listen(appOf(one(), page));
    expect(await statusOf(outside, "/", preflight)).toBe(204);
    const lost = await ask1(outside.url, "/", { headers: fromPage });
    expect(lost.status).toBe(429);
    expect(lost.headers).not.toHaveProperty("access-control-allow-origin");
  });

  it("before the log: its 429 is not logged", async () => {
    for (const [logFirst, statuses] of [
      [true, [200, 429]],
      [false, [200]],
    ] as const) {
      const logger = memoryLogger();
      const log = requestLog({ logger });
      const server = await listen(appOf(...(logFirst ? [log, one()] : [one(), log])));
      await statusOf(server);
      await statusOf(server);
      await until(() => logger.entries.length >= statuses.length);
      expect(logger.entries.map(({ fields }) => fields.status)).toEqual(statuses);
    }
  });

  it("after the cache: hits are not counted, and no client gets the count of another one", async () => {
    const keep: RequestHandler = (_req, res, next) => void next(void res.set("Cache-Control", "max-age=60"));
    const server = await listen(appOf(cache(), one(), keep));
    const miss = await ask1(server.url, "/");
    expect(miss.headers).toHaveProperty("x-ratelimit-remaining");
    const hit = await ask1(server.url, "/");
    expect(hit).toMatchObject({ status: 200, headers: { "cache-status": expect.stringContaining("hit") } });
    expect(hit.headers).not.toHaveProperty("x-ratelimit-remaining");

    const counted = await listen(appOf(one(), cache(), keep));
    expect(await statusOf(counted)).toBe(200);
    expect(await statusOf(counted)).toBe(429);
  });

  it("after a body parser: the refusal waits for the body", async () => {
    const json = { "content-type": "application/json", "content-length": "100" };
    for (const [handlers, status] of [
      [[one(), express.json()], 429],
      [[express.json(), one()], undefined],
    ] as const) {
      const server = await listen(appOf(...handlers));
      expect(await statusOf(server)).toBe(200);
      expect((await stalledPost(server, "/", json, "{")).status).toBe(status);
    }
  });

  describe("with a store that", () => {
    const store = (increment: Store["increment"]): Store => ({ increment, decrement() {}, resetKey() {} });

    it("does not answer: the 503 comes from a timeout before it", async () => {
      const hung = () => one({ store: store(() => new Promise(() => {})) });
      const covered = await listen(appOf(timeout(50), hung()));
      expect(await statusOf(covered)).toBe(503);
      const kept = await listen(appOf(hung(), timeout(50)));
      expect((await stalledPost(kept, "/", { "content-length": "0" }, "")).status).toBeUndefined();
    });

    it("fails: the response is a 500, or passOnStoreError lets the request pass", async () => {
      jest.spyOn(console, "error").mockImplementation(() => {});
      const failing = () => store(() => Promise.reject(new Error("The store is down.")));
      expect(await statusOf(await listen(appOf(one({ store: failing() }))))).toBe(500);
      const lenient = one({ store: failing(), passOnStoreError: true });
      expect(await statusOf(await listen(appOf(lenient)))).toBe(200);
    });
  });

  describe("behind a proxy", () => {
    const forwarded = async (trust: unknown, ...addresses: string[]) => {
      const app = express();
      app.set("trust proxy", trust);
      app.use(one({ validate: false }));
      app.get("/", hello);
      const server = await listen(app);
      const statuses: number[] = [];
      for (const address of addresses) {
        statuses.push(await statusOf(server, "/", { headers: { "x-forwarded-for": address } }));
      }
      return statuses;
    };

    it.each([
      ["without trust proxy all clients are one", false, ["203.0.113.1", "203.0.113.2"], [200, 429]],
      ["trust proxy 1 takes the proxy's word alone", 1, ["203.0.113.1", "9.9.9.9, 203.0.113.1"], [200, 429]],
      ["and tells two clients apart", 1, ["203.0.113.1", "203.0.113.2"], [200, 200]],
      ["trust proxy true takes anybody's word", true, ["203.0.113.1", "9.9.9.9, 203.0.113.1"], [200, 200]],
      ["an IPv6 network of /56 is one client", 1, ["2001:db8::1", "2001:db8:0:ff::2"], [200, 429]],
      ["the next one is another", 1, ["2001:db8::1", "2001:db8:0:100::2"], [200, 200]],
    ])("%s", async (_name, trust, addresses, statuses) => {
      expect(await forwarded(trust, ...addresses)).toEqual(statuses);
    });

    it("with req.ip as the key, each IPv6 address is a client", async () => {
      const app = express();
      app.set("trust proxy", 1);
      app.use(one({ validate: false, keyGenerator: (req) => req.ip! }));
      app.get("/", hello);
      const server = await listen(app);
      for (const address of ["2001:db8::1", "2001:db8::2"]) {
        expect(await statusOf(server, "/", { headers: { "x-forwarded-for": address } })).toBe(200);
      }
    });
  });

  it("skipSuccessfulRequests counts successful requests while they are in progress", async () => {
    const waiting: (() => void)[] = [];
    const app = express();
    app.use(one({ skipSuccessfulRequests: true }));
    app.get("/", (_req, res) => void waiting.push(() => res.send("Hello")));
    const server = await listen(app);
    const first = statusOf(server);
    await until(() => waiting.length === 1);
    expect(await statusOf(server)).toBe(429);
    waiting[0]!();
    expect(await first).toBe(200);
  });

  it("its own 429 is plain text, sent as HTML", async () => {
    const server = await listen(appOf(one()));
    await statusOf(server);
    const refused = await ask1(server.url, "/", { headers: { accept: "application/json" } });
    expect(refused).toMatchObject({
      body: "Too many requests, please try again later.",
      headers: { "content-type": "text/html; charset=utf-8" },
    });
  });
});

describe("metrics", () => {
  afterEach(async () => {
    jest.restoreAllMocks();
    await closeServers();
  });

  const noBody = { "content-length": "0" };

  describe("the example", () => {
    let lines: string[];
    let server: TestServer;
    beforeEach(async () => {
      lines = captureOutput();
      server = await listenToExample("prom-client");
    });
    const metrics = async () => (await ask1(server.url, "/metrics")).body;
    const countOf = (route: string, status: number) =>
      `http_request_duration_seconds_count{method="GET",route="${route}",status="${status}"}`;

    it("has one series for each route, and one for all requests without a route", async () => {
      for (let i = 0; i < 3; i++) {
        await statusOf(server, `/tenant-${i}/orders/${i}`);
        await statusOf(server, `/nothing/at/all/${i}`);
      }
      await until(() => lines.length === 6);
      const counts = (await metrics()).split("\n").filter((line) => line.includes("_count"));
      expect(counts).toEqual([`${countOf("/:tenant/orders/:id", 200)} 3`, `${countOf("none", 404)} 3`]);
    });

    it("counts seconds, and a client that left as 499", async () => {
      await raw(server.port, "GET /a/slow HTTP/1.1\r\nHost: x\r\n\r\n", 300);
      await until(() => lines.length === 1);
      const text = await metrics();
      expect(text).toContain(`${countOf("/:tenant/slow", 499)} 1`);
      const sum = /_sum\{.*status="499"\} (.*)/.exec(text)![1];
      expect(Number(sum)).toBeGreaterThan(0.2);
      expect(Number(sum)).toBeLessThan(100);
    });

    it("counts the requests in progress", async () => {
      const leaving = raw(server.port, "GET /a/slow HTTP/1.1\r\nHost: x\r\n\r\n", 300);
      while (!(await metrics()).includes("\nhttp_requests_under_way 1")) await new Promise(setImmediate);
      await leaving;
      await until(() => lines.length === 1);
      expect(await metrics()).toContain("\nhttp_requests_under_way 0");
    });

    it("the metrics route is neither logged nor counted", async () => {
      await metrics();
      await statusOf(server, "/tenant/orders/1");
      await until(() => lines.length === 1);
      expect(await metrics()).not.toContain('route="/metrics"');
    });
  });

  it("'finish' misses clients that leave, around does not; req.path makes a series for each path", async () => {
    const registry = new Registry();
    const counter = (name: string, label: string) =>
      new Counter({ name, help: name, labelNames: [label], registers: [registry] });
    const finished = counter("finished", "status");
    const ended = counter("ended", "status");
    const paths = counter("paths", "path");
    const routes = counter("routes", "route");

    const app = express();
    app.use((_req, res, next) => {
      res.on("finish", () => finished.inc({ status: res.statusCode }));
      next();
    });
    app.use(
      around(async (req, _res, next) => {
        const { path } = req;
        const { status } = await next();
        ended.inc({ status });
        paths.inc({ path });
        routes.inc({ route: req.route?.path ?? "none" });
      }),
    );
    const orders = Router();
    orders.get("/orders/:id", (_req, res) => void res.send("one"));
    orders.post("/slow", () => {});
    app.use("/:tenant", orders);
    const server = await listen(app);
    await statusOf(server, "/a/orders/1");
    await statusOf(server, "/b/orders/2");
    await stalledPost(server, "/a/slow", noBody, "");

    const values = async (name: string) =>
      Object.fromEntries(
        (await registry.getSingleMetric(name)!.get()).values.map(({ labels, value }) => [
          Object.values(labels)[0],
          value,
        ]),
      );
    const deadline = performance.now() + 5_000;
    while (!("499" in (await values("ended"))) && performance.now() < deadline)
      await new Promise(setImmediate);
    expect(await values("ended")).toEqual({ 200: 2, 499: 1 });
    expect(await values("finished")).toEqual({ 200: 2 });
    expect(await values("paths")).toEqual({ "/a/orders/1": 1, "/b/orders/2": 1, "/a/slow": 1 });
    expect(await values("routes")).toEqual({ "/orders/:id": 2, "/slow": 1 });
  });
});

describe("the order", () => {
  afterEach(async () => {
    jest.restoreAllMocks();
    await closeServers();
  });

  const common = {
    "access-control-allow-origin": PAGE_ORIGIN,
    "x-content-type-options": "nosniff",
    "x-request-id": expect.stringMatching(/^[\w-]{36}$/),
  };

  it("the whole order: headers of outer middleware are on the responses of all inner ones", async () => {
    const lines = captureOutput();
    const server = await listenToExample("The whole order");
    const ask = (path: string, options: Parameters<typeof ask1>[2] = {}) =>
      ask1(server.url, path, { ...options, headers: { ...fromPage, ...options.headers } });

    expect((await ask1(server.url, "/", preflight)).status).toBe(204);
    const miss = await ask("/");
    expect(miss).toMatchObject({ status: 200, body: "Hello", headers: common });
    const hit = await ask("/");
    expect(hit.headers).toMatchObject({ ...common, "cache-status": expect.stringContaining("hit") });
    expect(hit.headers["x-request-id"]).not.toBe(miss.headers["x-request-id"]);

    const json = { "content-type": "application/json" };
    const problem = { ...common, "content-type": expect.stringContaining("application/problem+json") };
    expect(await ask("/mine")).toMatchObject({ status: 403, headers: problem });
    expect(await ask("/nothing")).toMatchObject({ status: 404, headers: problem });
    const malformed = await ask("/echo", { method: "POST", headers: json, body: "{" });
    expect(malformed).toMatchObject({ status: 400, headers: problem });
    const whole = await ask("/echo", { method: "POST", headers: json, body: "[1]" });
    expect(whole).toMatchObject({ status: 200, body: "[1]", headers: common });

    const logged = lines.length;
    expect((await ask1(server.url, "/healthz")).status).toBe(204);
    for (let i = 0; i < 294; i++) await ask("/");
    const refused = await ask("/");
    expect(refused).toMatchObject({ status: 429, headers: { ...common, "retry-after": expect.any(String) } });
    const upload = await stalledPost(server, "/echo", { ...json, "content-length": "100" }, "[");
    expect(upload.status).toBe(429);
    expect(lines.length - logged).toBeGreaterThanOrEqual(295);
    expect(lines.some((line) => line.includes("healthz"))).toBe(false);
  });
});
