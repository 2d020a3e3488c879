import type { RequestHandler } from "express";
import fc from "fast-check";
import { Redis } from "ioredis";
import { type CacheStore, memoryStore, redisStore } from "../../src/cache/index.js";
import { encodeEntry } from "../../src/cache/stores/redis-format.js";
import { memoryLogger } from "../support/logger.js";
import { describeWithRedis, type RedisServer, startRedis } from "../support/redis.js";
import { appWith, type CachedApp, useClock } from "./support.js";

useClock();

const page: RequestHandler = (_req, res) =>
  void res
    .set({ "Cache-Control": "max-age=60, stale-while-revalidate=9, stale-if-error=9", ETag: '"1"' })
    .send("page");

const good = () => ({
  status: 200,
  reason: "",
  headers: [
    ["Content-Type", "text/plain"],
    ["Cache-Control", "max-age=60"],
  ] as unknown[],
  body: Buffer.from("stored"),
  requestedAt: Date.now() - 1_000,
  respondedAt: Date.now() - 1_000,
  authorized: false,
  tags: [] as unknown[],
});

const throwing = new Proxy(
  {},
  {
    get: () => {
      throw new Error("a trap");
    },
  },
);

/** Wrong values, by the name of the field. */
const wrong: Record<string, readonly unknown[]> = {
  status: [99, 0, -1, 100, 103, 206, 304, 1000, 1e9, 200.5, "200", null, undefined, Number.NaN, {}],
  reason: ["a\r\nX: 1", "\0", "\u2713", 1, null, undefined],
  headers: [
    ...[null, undefined, {}, "a: b", 7, [null], ["a"], [["a"]], [["a", "b", "c"]], [[1, "a"]], [["", "a"]]],
    ...[[["a b", "c"]], [["a\r\nSet-Cookie", "sid=1"]], [["a", "b\r\nSet-Cookie: sid=1"]], [["a", "\u2713"]]],
    ...[
      [["a", null]],
      [["a", Number.NaN]],
      [["a", {}]],
      [["a", ["b", 1]]],
      [["a", ["b\n"]]],
      [["a", throwing]],
    ],
    ...[[["Set-Cookie", "sid=1"]], [["Connection", "upgrade"]], [["Transfer-Encoding", "chunked"]]],
    ...[[["Trailer", "x"]], [["Keep-Alive", "x"]], [["Proxy-Authenticate", "x"]]],
  ],
  body: [null, undefined, "text", 7, {}, [1, 2], new Uint8Array(2)],
  requestedAt: [null, undefined, "1", Number.NaN, Number.POSITIVE_INFINITY, 1e300],
  respondedAt: [null, undefined, "1", Number.NaN, Number.NEGATIVE_INFINITY, -1e300],
  authorized: [null, undefined, 1],
  tags: [null, undefined, "a", [1], {}],
};

const cases = Object.entries(wrong).flatMap(([field, values]) =>
  values.map((value) => [field, value] as const),
);

/** A store that returns what the test sets, and otherwise stores. */
async function siteOf(given: () => unknown): Promise<CachedApp> {
  jest.spyOn(process.stderr, "write").mockReturnValue(true);
  const inner = memoryStore();
  const store = {
    maxEntryBytes: 1_000,
    get: (...args: Parameters<CacheStore["get"]>) => given() ?? inner.get(...args),
    put: (...args: Parameters<CacheStore["put"]>) => inner.put(...args),
    purge: (target: Parameters<CacheStore["purge"]>[0]) => inner.purge(target),
    stats: () => inner.stats(),
  } as CacheStore;
  return appWith(page, { options: { store } });
}

async function isPage(app: CachedApp, headers = {}): Promise<void> {
  const answer = await app.get("/", headers);
  expect([answer.status, answer.text, answer.headers["set-cookie"]]).toEqual([200, "page", undefined]);
}

test("a valid entry of the app's own store is served (the next tests spoil it)", async () => {
  const app = await siteOf(() => ({ entry: good(), known: true, version: 1 }));
  expect((await app.get()).text).toBe("stored");
});

test("an entry with any one wrong field is a miss, and the handlers answer", async () => {
  let entry: unknown;
  const app = await siteOf(() => ({ entry, known: true, version: 1 }));
  for (const [field, value] of cases) {
    entry = { ...good(), [field]: value };
    await isPage(app);
    entry = Object.fromEntries(Object.entries(good()).filter(([name]) => name !== field));
    await isPage(app);
  }
});

test("whatever a store returns, the handler answers", async () => {
  let found: unknown;
  const app = await siteOf(() => found);
  const anything = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true }),
    fc.record({ entry: fc.anything(), known: fc.anything(), version: fc.anything() }, { requiredKeys: [] }),
    fc
      .tuple(fc.constantFrom(...Object.keys(wrong)), fc.anything())
      .map(([field, value]) => ({ entry: { ...good(), [field]: value }, known: true, version: 1 })),
    fc.constant(throwing),
    fc.constant({ entry: throwing, known: true, version: 1 }),
  );
  await fc.assert(
    fc.asyncProperty(anything, async (one) => {
      found = one;
      const { status, text } = await app.get();
      expect(status).toBeGreaterThanOrEqual(200);
      expect(status).toBeLessThan(1_000);
      if (status === 200) expect(["page", "stored", ""]).toContain(text.slice(0, 6));
      expect(status).not.toBe(500);
    }),
    { numRuns: 300, examples: [[null], [{ entry: null }], [{ entry: {} }]] },
  );
});

test("the answer that is fetched after an invalid entry replaces it", async () => {
  let nonsense = true;
  const app = await siteOf(() =>
    nonsense ? { entry: { ...good(), status: 99 }, known: true, version: 0 } : undefined,
  );
  expect((await app.get()).did).toBe("fwd=uri-miss; stored");
  nonsense = false;
  expect((await app.get()).did).toMatch(/^hit/);
});

describeWithRedis("Redis whose values others have written", () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.close());

  test("truncated values, other types, entries that cannot be sent and values of other versions are misses", async () => {
    const client = new Redis(redis.path);
    client.on("error", () => {});
    const app = await appWith(page, { options: { store: redisStore({ client, logger: memoryLogger() }) } });
    await app.get();
    await until(async () => (await app.get()).did.startsWith("hit"));
    const [key] = await client.keys("*e:*");
    const whole = (await client.hgetBuffer(key!, "b"))!;
    const spoilt: (Buffer | string)[] = [
      ...[0, 1, 4, 7, 8, 20, whole.length - 1].map((length) => whole.subarray(0, length)),
      Buffer.concat([whole, Buffer.from("x")]),
      Buffer.concat([Buffer.from("XPE\x02", "latin1"), whole.subarray(4)]),
      "nonsense",
      ...cases
        .filter(([field, value]) => field !== "body" && value !== undefined && typeof value !== "function")
        .flatMap(([field, value]) => {
          try {
            return [encodeEntry({ ...good(), [field]: value } as never)];
          } catch {
            return []; // JSON cannot express it
          }
        }),
    ];
    expect(spoilt.length).toBeGreaterThan(40);
    for (const value of spoilt) {
      await client.hset(key!, "b", value);
      await isPage(app);
    }
    for (const field of ["v", "s", "q", "g", "b"]) {
      await client.hset(key!, field, "");
      await isPage(app);
      await client.hdel(key!, field);
      await isPage(app);
    }
    await client.set(key!, "of another type");
    await isPage(app);
    client.disconnect();
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
