import { AsyncLocalStorage } from "node:async_hooks";
import type { ErrorRequestHandler, RequestHandler } from "express";
import session from "express-session";
import fc from "fast-check";
import { Redis } from "ioredis";
import { type CacheStore, memoryStore, redisStore } from "../../src/cache/index.js";
import { encodeEntry } from "../../src/cache/stores/redis-format.js";
import { currentContext, requestContext } from "../../src/context/index.js";
import { pendingTasks } from "../../src/lib/request/tasks.js";
import { recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { describeWithRedis, type RedisServer, startRedis } from "../support/redis.js";
import { until } from "../support/server.js";
import { casesOf, oneIn, SOAK } from "../support/soak.js";
import { advance, appWith, type CachedApp, useClock } from "./support.js";

describe("attacks", () => {
  useClock();

  const FOR_A_MINUTE = "max-age=60";
  const settle = () => new Promise((resolve) => setTimeout(resolve, 30));

  describe("requests that wait for the answer of another", () => {
    const tenant = new AsyncLocalStorage<string>();
    const before: RequestHandler[] = [
      requestContext({ check: false }),
      (req, res, next) => {
        res.set("X-Tenant", req.get("x-tenant"));
        tenant.run(String(req.get("x-tenant")), next);
      },
    ];

    const landings: [string, (res: import("express").Response, run: number) => void][] = [
      ["apart", (res) => void res.set("Cache-Control", "private").json(tenant.getStore())],
      [
        "lost",
        (res, run) =>
          void (run === 1 ? res.destroy() : res.set("Cache-Control", "no-store").json(tenant.getStore())),
      ],
      [
        "variant",
        (res) => void res.set({ "Cache-Control": FOR_A_MINUTE, Vary: "X-Tenant" }).json(tenant.getStore()),
      ],
    ];

    test.each(landings)("%s: they run in their own asynchronous context", async (_name, answer) => {
      let open: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      const contexts: unknown[] = [];
      const app = await appWith(
        async (req, res) => {
          const run = app.runs();
          if (run === 1) await gate;
          contexts.push([
            req.get("x-tenant"),
            tenant.getStore(),
            currentContext()?.id === res.get("x-request-id"),
          ]);
          answer(res, run);
        },
        { before },
      );
      const tenants = ["t0", "t1", "t2", "t3"];
      const first = app.get("/", { "x-tenant": "t0" }).catch(() => undefined);
      await until(() => app.runs() === 1);
      const others = tenants.slice(1).map((name) => app.get("/", { "x-tenant": name }));
      await settle();
      open();
      await first;
      expect((await Promise.all(others)).map(({ text }) => text)).toEqual(['"t1"', '"t2"', '"t3"']);
      for (const [asked, own, isOwnContext] of contexts as [string, string, boolean][]) {
        expect([own, isOwnContext]).toEqual([asked, true]);
      }
    });

    test("stored: outer middleware still acts for each of them", async () => {
      let open: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      const patch: RequestHandler = (_req, res, next) => {
        const { writeHead } = res;
        res.writeHead = function patched(this: typeof res, ...args: [number]) {
          res.setHeader("X-Seen", String(tenant.getStore()));
          return writeHead.apply(res, args);
        } as typeof res.writeHead;
        next();
      };
      const app = await appWith(
        async (_req, res) => {
          await gate;
          res.set("Cache-Control", FOR_A_MINUTE).send("page");
        },
        { before: [...before, patch] },
      );
      const answers = ["t0", "t1", "t2"].map((name) => app.get("/", { "x-tenant": name }));
      await until(() => app.runs() === 1);
      await settle();
      open();
      expect((await Promise.all(answers)).map(({ headers }) => headers["x-seen"])).toEqual([
        "t0",
        "t1",
        "t2",
      ]);
    });
  });

  describe("a head that is refused", () => {
    test("leaves nothing behind: the error page is not stored as the page", async () => {
      let refuses = true;
      const app = await appWith(
        (_req, res) => void res.set("Cache-Control", FOR_A_MINUTE).send("a page of 27 characters...."),
        {
          before: [
            (_req, res, next) => {
              const { writeHead } = res;
              res.writeHead = function patched(this: typeof res, ...args: [number]) {
                if (refuses) {
                  refuses = false;
                  throw new Error("refused");
                }
                return writeHead.apply(res, args);
              } as typeof res.writeHead;
              next();
            },
          ],
          after: [
            ((_error, _req, res, _next) =>
              void res.status(500).set("Cache-Control", "").send("error of one")) as ErrorRequestHandler,
          ],
        },
      );
      const failed = await app.get();
      expect([failed.status, failed.text]).toEqual([500, "error of one"]);
      expect(String(failed.headers["cache-status"])).toBe("portico; fwd=uri-miss; detail=no-freshness");
      expect((await app.get()).text).toBe("a page of 27 characters....");
      expect((await app.get()).text).toBe("a page of 27 characters....");
    });

    test("trailers are sent, and not stored", async () => {
      const app = await appWith((_req, res) => {
        res.set({ "Cache-Control": FOR_A_MINUTE, Trailer: "X-Sum" });
        res.addTrailers({ "X-Sum": "1" });
        res.end("hello");
      });
      for (let i = 0; i < 2; i++)
        expect([(await app.get()).status, (await app.get()).text]).toEqual([200, "hello"]);
      expect((await app.get()).headers.trailer).toBeUndefined();
      expect(app.runs()).toBe(1);
    });
  });

  test("a cache that one request meets twice acts once", async () => {
    const app = await appWith(
      (req, res, next) => {
        if (!req.query.again) return next();
        return void res.send("unreached");
      },
      {
        after: [
          ((req, res, next) => void app.cached(req, res, next)) as RequestHandler,
          ((_req, res) => void res.set("Cache-Control", FOR_A_MINUTE).send("page")) as RequestHandler,
        ],
      },
    );
    const first = await app.get();
    expect(first.headers["cache-status"]).toBe("portico; fwd=uri-miss; stored");
    expect((await app.get()).did).toMatch(/^hit/);
    expect(await app.cached.stats()).toMatchObject({ misses: 1, hits: 1 });
  });

  describe("a store of the app that", () => {
    const faulty = (part: Partial<CacheStore>): CacheStore => {
      const store = memoryStore();
      return {
        maxEntryBytes: 1_000,
        get: (key, variantOf) => store.get(key, variantOf),
        put: (...args) => store.put(...args),
        purge: (target) => store.purge(target),
        stats: () => store.stats(),
        ...part,
      };
    };
    const fails = () => {
      throw new Error("broken");
    };
    const never = () => new Promise<never>(() => {});

    test.each<[string, Partial<CacheStore>]>([
      ["get throws", { get: fails }],
      ["get rejects", { get: () => Promise.reject(new Error("broken")) }],
      ["get never answers", { get: never }],
      ["get gives nonsense", { get: () => ({ entry: { status: "200" }, known: true, version: 0 }) as never }],
      ["get gives nothing", { get: () => undefined as never }],
      ["put throws", { put: fails }],
      ["put rejects", { put: () => Promise.reject(new Error("broken")) }],
      ["put never answers", { put: never }],
      ["purge throws", { purge: fails }],
      ["purge never answers", { purge: never }],
      ["stats rejects", { stats: () => Promise.reject(new Error("broken")) }],
    ])("%s: the handlers answer", async (_name, part) => {
      jest.spyOn(process.stderr, "write").mockReturnValue(true);
      const app = await appWith((_req, res) => void res.set("Cache-Control", FOR_A_MINUTE).send("page"), {
        options: { store: faulty(part) },
      });
      for (let i = 0; i < 3; i++) {
        const answers = await Promise.all([app.get(), app.get()]);
        expect(answers.map(({ status, text }) => [status, text])).toEqual([
          [200, "page"],
          [200, "page"],
        ]);
      }
      expect((await app.send("POST")).status).toBe(200);
      await app.cached.purge("/");
      await app.cached.clear();
      expect(await app.cached.stats()).toMatchObject({ entries: expect.any(Number) });
    });
  });

  test("a GET with a body bypasses the cache", async () => {
    const app = await appWith((req, res) => {
      let body = "";
      req.on("data", (chunk) => {
        body += String(chunk);
      });
      req.on("end", () => res.set("Cache-Control", FOR_A_MINUTE).send(body));
    });
    expect((await app.send("GET", "/", { "content-length": 5 }, "alice")).did).toBe(
      "fwd=bypass; detail=body",
    );
    expect((await app.send("GET", "/", { "transfer-encoding": "chunked" }, "bob")).text).toBe("bob");
  });

  test("a page with the cookie of an outer session is not stored", async () => {
    const app = await appWith(
      (req, res) => {
        Object.assign(req.session, { token: req.sessionID });
        res.set("Cache-Control", "public, max-age=60").send(req.sessionID);
      },
      { before: [session({ secret: "s", resave: false, saveUninitialized: true })] },
    );
    const [first, second] = [await app.get(), await app.get()];
    expect(first.text).not.toBe(second.text);
  });

  describe("what the handlers withdraw", () => {
    test.each([
      ["private", 200],
      ["no-store", 200],
      ["max-age=60, private", 403],
      ["no-store", 404],
    ])("is no longer served after a refresh with %s and %i", async (cacheControl, status) => {
      let isOpen = true;
      const app = await appWith((_req, res) => {
        if (isOpen) res.set("Cache-Control", "max-age=10, stale-while-revalidate=600").send("public");
        else res.status(status).set("Cache-Control", cacheControl).send("closed");
      });
      await app.get();
      isOpen = false;
      advance(20);
      expect((await app.get()).text).toBe("public");
      await until(() => app.runs() === 2 && pendingTasks().length === 0);
      expect((await app.get()).text).toBe("closed");
    });

    test("an answer for one user changes nothing for the others", async () => {
      const app = await appWith((req, res) => {
        if (req.headers.authorization !== undefined) res.set("Cache-Control", "private").send("mine");
        else res.set("Cache-Control", FOR_A_MINUTE).send("public");
      });
      await app.get();
      await app.get("/", { authorization: "alice", "cache-control": "no-cache" });
      expect((await app.get()).did).toMatch(/^hit/);
    });

    test("an answer that was purged while the handler fails is not served", async () => {
      let fail: () => void = () => {};
      const app = await appWith(
        (_req, res, next) => {
          if (app.runs() === 1) res.set("Cache-Control", "max-age=10, stale-if-error=600").send("old");
          else fail = () => next(new Error("down"));
        },
        { after: [recover({ logger: memoryLogger() })] },
      );
      await app.get();
      advance(20);
      const answer = app.get();
      await until(() => app.runs() === 2);
      await app.cached.purge("/");
      fail();
      expect((await answer).status).toBe(500);
    });
  });

  describe("a stale answer in place of an error", () => {
    const failing = (first: RequestHandler): RequestHandler => {
      let done = false;
      return (req, res, next) => {
        if (!done) {
          done = true;
          return first(req, res, next);
        }
        res.set({ "X-Failed-User": "alice", "Retry-After": "120" }).cookie("sid", "1");
        throw new Error("down");
      };
    };
    const page: RequestHandler = (_req, res) => {
      res.set({
        "Cache-Control": "max-age=10, stale-if-error=600",
        "Content-Security-Policy": "script-src 'self'",
      });
      res.removeHeader("ETag");
      res.type("html").end("<p>old</p>");
    };

    test.each([
      ["with recover", [recover({ logger: memoryLogger() })]],
      ["with Express's own final handler", []],
    ])("has its own headers, and none of the failed answer: %s", async (_name, after) => {
      const app = await appWith(failing(page), { after, setup: (express) => express.set("env", "test") });
      await app.get();
      advance(20);
      const stale = await app.get();
      expect([stale.status, stale.text, stale.headers["content-security-policy"]]).toEqual([
        200,
        "<p>old</p>",
        "script-src 'self'",
      ]);
      for (const name of ["x-failed-user", "retry-after", "set-cookie"])
        expect(stale.headers[name]).toBeUndefined();
    });

    test("is also sent for HEAD and for a range", async () => {
      const app = await appWith(failing(page), { after: [recover({ logger: memoryLogger() })] });
      await app.get();
      advance(20);
      expect((await app.send("HEAD")).status).toBe(200);
      expect((await app.get("/", { range: "bytes=0-2" })).text).toBe("<p>");
    });
  });

  describe("headers", () => {
    test("a header that the handlers removed is not on a hit", async () => {
      const app = await appWith(
        (_req, res) => {
          res.removeHeader("X-Frame-Options");
          res.set("Cache-Control", FOR_A_MINUTE).send("embed me");
        },
        { before: [(_req, res, next) => void next(void res.set("X-Frame-Options", "DENY"))] },
      );
      for (let i = 0; i < 2; i++) expect((await app.get()).headers["x-frame-options"]).toBeUndefined();
      expect(app.runs()).toBe(1);
    });

    test("an answer whose handlers appended to an outer header is not stored", async () => {
      const app = await appWith(
        (_req, res) => void res.append("Link", "</s.css>").set("Cache-Control", FOR_A_MINUTE).send("x"),
        {
          before: [(req, res, next) => void next(void res.set("Link", `</u/${req.get("x-user")}>`))],
        },
      );
      await app.get("/", { "x-user": "alice" });
      const second = await app.get("/", { "x-user": "bob" });
      expect([second.headers.link, second.did]).toEqual([
        "</u/bob>, </s.css>",
        "fwd=uri-miss; detail=appended",
      ]);
    });

    test("HEAD has no ranges; the reason phrase is stored", async () => {
      const app = await appWith((_req, res) => {
        res.statusMessage = "Very Fine";
        res.set("Cache-Control", FOR_A_MINUTE).send("0123");
      });
      await app.get();
      const head = await app.send("HEAD", "/", { range: "bytes=0-1" });
      expect([head.status, head.headers["content-length"]]).toEqual([200, "4"]);
    });
  });

  test("the internal request of a refresh ends and closes like any other", async () => {
    const events: string[] = [];
    const app = await appWith(
      (_req, res) => void res.set("Cache-Control", "max-age=10, stale-while-revalidate=60").send("x"),
      {
        before: [
          (req, res, next) => {
            for (const name of ["end", "close"]) req.once(name, () => events.push(`req ${name}`));
            for (const name of ["finish", "close"]) res.once(name, () => events.push(`res ${name}`));
            next();
          },
        ],
      },
    );
    await app.get();
    advance(20);
    events.length = 0;
    await app.get();
    await until(() => app.runs() === 2 && pendingTasks().length === 0);
    await settle();
    for (const name of ["req close", "res finish", "res close"])
      expect(events.filter((one) => one === name)).toHaveLength(2);
  });
});

describe("nonsense", () => {
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
      ...[
        [["a b", "c"]],
        [["a\r\nSet-Cookie", "sid=1"]],
        [["a", "b\r\nSet-Cookie: sid=1"]],
        [["a", "\u2713"]],
      ],
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
    }
    for (const field of Object.keys(wrong)) {
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
      { numRuns: casesOf(300), examples: [[null], [{ entry: null }], [{ entry: {} }]] },
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
      await untilHolds(async () => (await app.get()).did.startsWith("hit"));
      const [key] = await client.keys("*e:*");
      const whole = (await client.hgetBuffer(key!, "b"))!;
      const spoilt: (Buffer | string)[] = [
        ...[0, 1, 4, 7, 8, 20, whole.length - 1].map((length) => whole.subarray(0, length)),
        Buffer.concat([whole, Buffer.from("x")]),
        Buffer.concat([Buffer.from("XPE\x02", "latin1"), whole.subarray(4)]),
        "nonsense",
        ...oneIn(4, cases)
          .filter(([field, value]) => field !== "body" && value !== undefined && typeof value !== "function")
          .flatMap(([field, value]) => {
            try {
              return [encodeEntry({ ...good(), [field]: value } as never)];
            } catch {
              return []; // JSON cannot express it
            }
          }),
      ];
      expect(spoilt.length).toBeGreaterThan(SOAK ? 40 : 20);
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

  async function untilHolds(holds: () => Promise<boolean>): Promise<void> {
    while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
  }
});
