import { gunzipSync } from "node:zlib";
import express, { type RequestHandler } from "express";
import { apiKey, authenticate } from "../../src/auth/index.js";
import { type Cache, type CacheOptions, cache, memoryStore, redisStore } from "../../src/cache/index.js";
import { compress } from "../../src/compress/index.js";
import { requestContext } from "../../src/context/index.js";
import { cors } from "../../src/cors/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { pendingTasks } from "../../src/lib/request/tasks.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { timeout } from "../../src/timeout/index.js";
import { memoryLogger } from "../support/logger.js";
import { describeWithRedis, type RedisServer, startRedis } from "../support/redis.js";
import { closeServers, listen, until } from "../support/server.js";
import { SOAK } from "../support/soak.js";
import { PACKAGES, type TestClient } from "./stores/support.js";
import { type Answer, advance, ask, useClock } from "./support.js";

describe("together", () => {
  useClock();

  const page = { text: "a page that is long enough to be worth coding. ".repeat(60) };

  /** Mounts the handlers in this order, before one route that counts its runs. */
  async function stack(handlers: RequestHandler[], route?: RequestHandler) {
    let runs = 0;
    const app = express();
    for (const handler of handlers) app.use(handler);
    app.use((req, res, next) => {
      runs++;
      if (route !== undefined) return route(req, res, next);
      res.set("Cache-Control", "max-age=60").json(page);
    });
    app.use(recover({ logger: memoryLogger() }));
    const { url } = await listen(app);
    return { url, runs: () => runs, get: (headers = {}) => ask(url, { headers }) };
  }

  function plain(answer: Answer): unknown {
    const coded = answer.headers["content-encoding"] === "gzip";
    return JSON.parse((coded ? gunzipSync(answer.body) : answer.body).toString());
  }

  describe.each([
    ["outside of compress", () => [cache(), compress({ encodings: ["gzip"] })], 2],
    ["inside of compress", () => [compress({ encodings: ["gzip"] }), cache()], 1],
  ] as const)("cache %s", (_name, handlers, runs) => {
    test("each client gets an encoding that it accepts, and the handler runs once for each stored encoding", async () => {
      const app = await stack(handlers());
      const asked = ["gzip", undefined, "gzip", "identity", undefined, "gzip"];
      for (const coding of asked) {
        const answer = await app.get(coding === undefined ? {} : { "accept-encoding": coding });
        expect(answer.headers["content-encoding"]).toBe(coding === "gzip" ? "gzip" : undefined);
        expect(String(answer.headers.vary)).toMatch(/accept-encoding/i);
        expect(plain(answer)).toEqual(page);
      }
      // "identity" is another variant than no header.
      expect(app.runs()).toBe(runs === 1 ? 1 : 3);
    });

    test("a conditional request is answered with 304", async () => {
      const app = await stack(handlers());
      const headers = { "accept-encoding": "gzip" };
      const first = await app.get(headers);
      const again = await app.get({ ...headers, "if-none-match": String(first.headers.etag) });
      expect([again.status, again.body.length, app.runs()]).toEqual([304, 0, 1]);
    });
  });

  test("a hit of a cache outside compress is not encoded again", async () => {
    const app = await stack([cache(), compress({ encodings: ["gzip"] })]);
    const headers = { "accept-encoding": "gzip" };
    const first = await app.get(headers);
    const second = await app.get(headers);
    expect(second.body.equals(first.body)).toBe(true);
    expect(second.headers["content-length"]).toBe(String(first.body.length));
  });

  test("the log says what the cache did", async () => {
    const logger = memoryLogger();
    const app = await stack([requestContext({ check: false }), requestLog({ logger }), cache()]);
    await app.get();
    await app.get();
    await app.get({ cookie: "a=1" });
    await until(() => logger.entries.length === 3);
    expect(logger.entries.map(({ fields }) => fields.cache)).toEqual(["miss", "hit", "bypass"]);
  });

  test("inside the other middleware, each answer has its own request id, CORS and security headers", async () => {
    const app = await stack([
      requestContext({ check: false }),
      securityHeaders(),
      cors({ origin: ["https://a.example", "https://b.example"] }),
      cache(),
    ]);
    const answers = [];
    for (const origin of ["https://a.example", "https://b.example", "https://evil.example"]) {
      answers.push(await app.get({ origin }));
    }
    expect(answers.map(({ headers }) => headers["access-control-allow-origin"])).toEqual([
      "https://a.example",
      "https://b.example",
      undefined,
    ]);
    expect(new Set(answers.map(({ headers }) => headers["x-request-id"])).size).toBe(3);
    for (const { headers } of answers) expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(app.runs()).toBe(3); // by Vary: Origin
    await app.get({ origin: "https://a.example" });
    expect(app.runs()).toBe(3);
  });

  test("with cors inside the cache, an origin never gets the permission of another", async () => {
    const app = await stack([cache(), cors({ origin: ["https://a.example", "https://b.example"] })]);
    for (const origin of [
      "https://a.example",
      "https://b.example",
      "https://evil.example",
      "https://a.example",
    ]) {
      const { headers } = await app.get({ origin });
      expect(headers["access-control-allow-origin"]).toBe(origin.includes("evil") ? undefined : origin);
    }
  });

  test.each([
    ["outside", true],
    ["inside", false],
  ])("a page with a nonce is never served twice: securityHeaders %s", async (_name, outside) => {
    const headers = securityHeaders({ contentSecurityPolicy: { nonce: true } });
    const app = await stack(outside ? [headers, cache()] : [cache(), headers], (_req, res) => {
      res
        .set("Cache-Control", "max-age=60")
        .type("html")
        .send(`<script nonce="${res.locals.cspNonce}"></script>`);
    });
    for (let i = 0; i < 2; i++) {
      const answer = await app.get();
      const nonce = /nonce="([^"]+)"/.exec(answer.text)?.[1];
      expect(String(answer.headers["content-security-policy"])).toContain(`'nonce-${nonce}'`);
    }
    expect(app.runs()).toBe(2);
  });

  test("an authenticated answer is not served to others, with authenticate inside or outside the cache", async () => {
    const keys = authenticate(
      apiKey({ keys: { "key-of-alice-123456": { name: "alice" }, "key-of-bob-12345678": { name: "bob" } } }),
    );
    for (const handlers of [
      [cache(), keys],
      [keys, cache()],
    ]) {
      const app = await stack(
        handlers,
        (req, res) => void res.set("Cache-Control", "max-age=60").send(req.get("x-api-key")),
      );
      expect((await app.get({ "x-api-key": "key-of-alice-123456" })).text).toBe("key-of-alice-123456");
      expect((await app.get({ "x-api-key": "key-of-bob-12345678" })).text).toBe("key-of-bob-12345678");
      expect((await app.get()).status).toBe(401);
    }
  });

  test("when a handler throws, recover's answer is sent and not stored", async () => {
    let fails = true;
    const app = await stack([cache()], (_req, res) => {
      res.set("Cache-Control", "max-age=60");
      if (fails) throw new Error("down");
      res.send("fine");
    });
    expect((await app.get()).status).toBe(500);
    fails = false;
    expect((await app.get()).text).toBe("fine");
  });

  test("when an outer timeout answers, the handler's late answer is not stored", async () => {
    let late: () => void = () => {};
    const app = await stack([timeout(10), cache()], (_req, res) => {
      late = () => res.set("Cache-Control", "max-age=60").send("late");
      if (app.runs() > 1) res.set("Cache-Control", "max-age=60").send("in time");
    });
    expect((await app.get()).status).toBe(503);
    late();
    expect((await app.get()).text).toBe("in time");
  });

  test("the stale answer replaces the error of an inner timeout", async () => {
    const app = await stack([cache(), timeout(10)], (_req, res) => {
      if (app.runs() === 1) res.set("Cache-Control", "max-age=10, stale-if-error=60").send("old");
    });
    await app.get();
    advance(20);
    const answer = await app.get();
    expect([answer.status, answer.text]).toEqual([200, "old"]);
  });

  test("a background refresh passes the outer middleware, without a log record of its own", async () => {
    const logger = memoryLogger();
    const app = await stack(
      [
        requestContext({ check: false }),
        requestLog({ logger }),
        securityHeaders(),
        cors(),
        timeout(1_000),
        cache(),
        compress(),
      ],
      (_req, res) => void res.set("Cache-Control", "max-age=10, stale-while-revalidate=60").json(page),
    );
    await app.get();
    advance(20);
    expect((await app.get()).did).toMatch(/^hit; ttl=-/);
    await until(() => app.runs() === 2 && pendingTasks().length === 0);
    const third = await app.get();
    expect(third.did).toMatch(/^hit; ttl=\d/);
    expect(plain(third)).toEqual(page);
    expect(logger.entries).toHaveLength(3);
  });
});

describe("options", () => {
  function refused(options: unknown): ConfigError {
    try {
      cache(options as CacheOptions);
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    throw new Error("it was accepted");
  }

  it.each<[string, unknown, RegExp]>([
    ["options", null, /object of options/],
    ["options", "1 hour", /object of options/],
    ["options", 60, /object of options/],
    ["ttl", { ttl: 60 }, /options are store, name/],
    ["stores", { stores: 1 }, /Did you mean "store"/],
    ["cookie", { cookie: true }, /Did you mean "cookies"/],
    ["store", { store: null }, /memoryStore/],
    ["store", { store: "redis" }, /memoryStore/],
    ["store", { store: new Map() }, /must be a store|has no/],
    ["store", { store: { get() {}, put() {} } }, /has no purge, stats/],
    ["name", { name: "" }, /token/],
    ["name", { name: "my cache" }, /token/],
    ["name", { name: 7 }, /string/],
    ["key", { key: "path" }, /function/],
    ["hosts", { hosts: undefined }, /environment variable/],
    ["hosts", { hosts: [] }, /empty/],
    ["hosts", { hosts: ["https://a.example"] }, /without scheme/],
    ["hosts", { hosts: ["a.example:443"] }, /without scheme/],
    ["hosts", { hosts: ["a.example/x"] }, /without scheme/],
    ["hosts", { hosts: [7] }, /strings/],
    ["cookies", { cookies: "yes" }, /true or false/],
    ["requestDirectives", { requestDirectives: 0 }, /true or false/],
  ])("%s: %p is refused", (option, options, reason) => {
    const [problem] = refused(options).problems;
    expect(problem?.option).toBe(option);
    expect(problem?.reason).toMatch(reason);
  });

  it("names all problems at once", () => {
    const { problems } = refused({ store: 1, name: " ", hosts: [], cookies: 1, nope: 1 });
    expect(problems.map(({ option }) => option).sort()).toEqual([
      "cookies",
      "hosts",
      "name",
      "nope",
      "store",
    ]);
  });

  it.each<[CacheOptions | undefined]>([
    [undefined],
    [{}],
    [{ store: undefined, name: undefined, key: undefined, cookies: undefined, requestDirectives: undefined }],
    [
      {
        store: memoryStore({ maxBytes: 1_000_000 }),
        name: "edge",
        hosts: ["a.example", "[::1]"],
        cookies: true,
      },
    ],
    [{ hosts: "a.example, b.example" as never }],
  ])("%p is accepted", (options) => {
    const handler = cache(options);
    expect(handler.name).toBe("cache");
    expect(typeof handler.purge).toBe("function");
  });

  it("cache() copies its options", async () => {
    const hosts = ["a.example"];
    const options = { hosts };
    cache(options);
    hosts.push("not a host");
    expect(options.hosts).toHaveLength(2);
  });
});

describe("with Redis", () => {
  describeWithRedis("a cache on Redis", () => {
    let redis: RedisServer;
    const clients: TestClient[] = [];
    beforeAll(async () => {
      redis = await startRedis();
    });
    afterEach(async () => {
      await closeServers();
      for (const { end } of clients.splice(0)) end();
    });
    afterAll(() => redis.close());

    interface Instance {
      readonly url: string;
      readonly cached: Cache;
      readonly runs: () => number;
      readonly levels: () => string[];
    }

    /** As one of several processes of the same app. */
    async function instance(
      connect: (typeof PACKAGES)[keyof typeof PACKAGES],
      prefix: string,
      limit: { timeoutMs?: number },
    ): Promise<Instance> {
      const client = connect(redis.path);
      clients.push(client);
      await client.ready();
      const logger = memoryLogger();
      const cached = cache({ store: redisStore({ client: client.client, prefix, logger, ...limit }) });
      let runs = 0;
      const app = express();
      app.use(cached);
      app.get("/:page", (req, res) => {
        runs++;
        res.set({ "Cache-Control": "max-age=60", Vary: "Accept-Language", "Cache-Tag": req.params.page });
        res.type("bin").send(Buffer.from([0, 255, 13, 10, req.params.page.length]));
      });
      app.post("/:page", (_req, res) => void res.sendStatus(204));
      const { url } = await listen(app);
      return { url, cached, runs: () => runs, levels: () => logger.entries.map(({ level }) => level) };
    }

    describe.each(Object.entries(PACKAGES))("over %s", (name, connect) => {
      const pair = async (test: string, limit: { timeoutMs?: number } = {}) => {
        const both = await Promise.all([1, 2].map(() => instance(connect, `${name}-${test}:`, limit)));
        return both as [Instance, Instance];
      };

      test("a process serves what another has stored, byte for byte, and not what another has purged", async () => {
        const [one, other] = await pair("shared", { timeoutMs: 10_000 }); // on a busy machine Redis answers late
        const get = ({ url }: Instance) => ask(`${url}/page`, { headers: { host: "www.example" } });
        const first = await get(one);
        expect(first.did).toMatch(/stored/);
        const before = one.runs();
        let second = await get(other);
        while (!second.did.startsWith("hit")) second = await get(other);
        expect(second.body.equals(Buffer.from([0, 255, 13, 10, 4]))).toBe(true);
        expect(second.headers["content-type"]).toBe(first.headers["content-type"]);
        for (const purge of [
          () => other.cached.purge("/page"),
          () => other.cached.purgeTag("page"),
          () => other.cached.clear(),
          () => ask(`${other.url}/page`, { method: "POST", headers: { host: "www.example" } }),
        ]) {
          await purge();
          expect((await get(one)).did).toMatch(/^fwd=/);
          expect((await get(other)).did).toMatch(/^hit/);
        }
        expect(one.runs()).toBe(before + 4);
      });

      if (SOAK)
        test("when Redis is killed and started again under load, no request fails, and the cache recovers by itself", async () => {
          const [one, other] = await pair("outage");
          let done = false;
          const answers: Answer[] = [];
          const load = async ({ url }: Instance, worker: number) => {
            for (let i = 0; !done; i++) answers.push(await ask(`${url}/page-${(worker * 7 + i) % 20}`));
          };
          const workers = [one, other].flatMap((of) => [1, 2, 3, 4].map((worker) => load(of, worker)));
          const isHit = ({ did }: Answer) => did.startsWith("hit");
          await until(() => answers.some(isHit));
          await redis.kill();
          const atKill = answers.length;
          await until(
            () =>
              answers.length > atKill + 200 &&
              one.levels().includes("warn") &&
              other.levels().includes("warn"),
          );
          await redis.start();
          const { now } = performance;
          let skippedMs = 0; // skips the pause of the circuit
          const clock = jest
            .spyOn(performance, "now")
            .mockImplementation(() => now.call(performance) + skippedMs);
          await until(() => {
            skippedMs += 20;
            return one.levels().includes("info") && other.levels().includes("info");
          });
          clock.mockRestore();
          const atRecovery = answers.length;
          await until(() => answers.slice(atRecovery).some(isHit));
          // Requests that were still waiting may have opened the circuit again.
          await until(() => [one, other].every(({ levels }) => levels().at(-1) === "info"));
          done = true;
          await Promise.all(workers);
          expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
          expect(new Set(answers.map(({ body }) => body.toString("hex").slice(0, 8)))).toEqual(
            new Set(["00ff0d0a"]),
          );
          for (const { levels } of [one, other]) expect(levels().join()).toMatch(/^warn,info(,warn,info)*$/);
        });
    });
  });
});
