import express, { type RequestHandler } from "express";
import { type Options, rateLimit, type Store } from "express-rate-limit";
import { cache, cors, recover, requestLog, timeout } from "../../../src/index.js";
import { ask1 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, until } from "../../support/server.js";
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
