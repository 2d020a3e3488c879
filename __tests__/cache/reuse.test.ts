import type { RequestHandler } from "express";
import session from "express-session";
import fc from "fast-check";
import { Redis } from "ioredis";
import { type CacheStatusParts, cacheStatus } from "../../src/cache/cache-status.js";
import { type CacheStore, cache, memoryStore, redisStore } from "../../src/cache/index.js";
import { parseDictionary } from "../../src/cache/rules/targeted.js";
import { serve } from "../../src/serve/index.js";
import { certificate } from "../support/certificate.js";
import { closeHttp2, connectHttp2, ask as onHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { anyText } from "../support/text.js";
import { advance, appWith, useClock } from "./support.js";

describe("reuse", () => {
  useClock();

  /** Answers with the number of its runs. */
  function counting(cacheControl: string | undefined, headers: Record<string, string> = {}): RequestHandler {
    let count = 0;
    return (_req, res) => {
      if (cacheControl !== undefined) res.set("Cache-Control", cacheControl);
      res.set(headers);
      res.json({ count: ++count });
    };
  }

  describe("a fresh answer", () => {
    test("is served again, byte for byte, with the headers of the first answer and a growing Age", async () => {
      const app = await appWith(counting("max-age=60", { "X-Made": "by the handler" }));
      const first = await app.get();
      expect(first.did).toBe("fwd=uri-miss; stored");
      expect(first.headers.age).toBeUndefined();
      advance(5);
      const second = await app.get();
      expect(app.runs()).toBe(1);
      expect(second.did).toMatch(/^hit; ttl=5[45]$/);
      expect(second.body).toEqual(first.body);
      expect(Number(second.headers.age)).toBeGreaterThanOrEqual(5);
      const { age: _age, "cache-status": _status, connection: _c, ...rest } = second.headers;
      const { "cache-status": _first, connection: _d, ...before } = first.headers;
      expect(rest).toEqual(before);
    });

    test("is no longer served when it is stale", async () => {
      const app = await appWith(counting("max-age=60"));
      await app.get();
      advance(61);
      const after = await app.get();
      expect(after.did).toBe("fwd=stale; stored");
      expect(app.runs()).toBe(2);
    });

    test.each([
      ["MAX-AGE=60", 1],
      ["s-maxage=60, max-age=0", 1],
      ["s-maxage=0, max-age=60", 2],
      ["max-age=99999999999", 1],
      ["no-store, max-age=60", 2],
      ["NO-STORE, max-age=60", 2],
      ["PRIVATE, max-age=60", 2],
      ["private, max-age=60", 2],
      ["no-cache, max-age=60", 2],
      ["max-age=0", 2],
      [undefined, 2],
    ])("with Cache-Control %s two requests run the handler this often: %i", async (value, expected) => {
      let probes = 0;
      const handler = counting(value);
      const app = await appWith((req, res, next) => {
        probes++;
        handler(req, res, next);
      });
      await app.get();
      await app.get();
      expect(probes).toBe(expected);
    });

    test("a long lifetime needs no timer", async () => {
      const app = await appWith(counting("max-age=99999999999"));
      await app.get();
      advance(86_400 * 365);
      expect((await app.get()).did).toMatch(/^hit/);
    });

    test("Expires counts without a max-age", async () => {
      const app = await appWith((_req, res) => {
        res.set("Expires", new Date(Date.now() + 60_000).toUTCString()).send("x");
      });
      await app.get();
      expect((await app.get()).did).toMatch(/^hit/);
      advance(62);
      expect((await app.get()).did).toMatch(/^fwd=stale/);
    });

    test("the Age of the origin counts", async () => {
      const app = await appWith(counting("max-age=60", { Age: "50" }));
      await app.get();
      expect(Number((await app.get()).headers.age)).toBeGreaterThanOrEqual(50);
      advance(11);
      expect((await app.get()).did).toMatch(/^fwd=stale/);
    });

    test("CDN-Cache-Control overrides Cache-Control", async () => {
      const app = await appWith(counting("no-store", { "CDN-Cache-Control": "max-age=60" }));
      await app.get();
      expect((await app.get()).did).toMatch(/^hit/);
    });

    test.each([
      [200, "a page"],
      [203, "a page"],
      [301, "moved"],
      [404, "nothing here"],
      [410, "gone"],
      [299, "a status of its own"],
    ])("status %i is stored too, with its body", async (status, body) => {
      const app = await appWith((_req, res) => {
        res.status(status).set("Cache-Control", "max-age=60").send(body);
      });
      await app.get();
      const second = await app.get();
      expect([second.status, second.text, app.runs()]).toEqual([status, body, 1]);
    });

    test("204 is stored without a body and a length", async () => {
      const app = await appWith((_req, res) => void res.status(204).set("Cache-Control", "max-age=60").end());
      await app.get();
      const second = await app.get();
      expect([second.status, second.headers["content-length"], app.runs()]).toEqual([204, undefined, 1]);
    });

    test("a hit has the handler's own reason phrase", async () => {
      const app = await appWith((_req, res) => {
        res.writeHead(200, "All Fine", { "Cache-Control": "max-age=60" });
        res.end("x");
      });
      await app.get();
      expect((await app.get()).did).toMatch(/^hit/);
    });
  });

  describe("keys", () => {
    const echo: RequestHandler = (req, res) => {
      res.set("Cache-Control", "max-age=60").send(`${req.headers.host} ${req.originalUrl}`);
    };

    test.each([
      ["/?a=1&b=2", "/?b=2&a=1"],
      ["/a", "/a/"],
      ["/a", "/A"],
      ["/a%20b", "/a%2520b"],
    ])("%s and %s have different keys", async (one, other) => {
      const app = await appWith(echo);
      const first = await app.get(one);
      const second = await app.get(other);
      expect(second.did).toMatch(/^fwd=uri-miss/);
      expect(second.text).not.toBe(first.text);
    });

    test("hosts have separate entries, in any case of letters", async () => {
      const app = await appWith(echo);
      await app.get("/", { host: "a.example" });
      expect((await app.get("/", { host: "b.example" })).did).toMatch(/^fwd=uri-miss/);
      expect((await app.get("/", { host: "A.Example" })).did).toMatch(/^hit/);
      expect((await app.get("/", { host: "a.example:80" })).did).toMatch(/^fwd=vary-miss/); // an app makes links from it
      expect((await app.get("/", { host: "a.example:8080" })).did).toMatch(/^fwd=uri-miss/);
    });

    test.each([
      "x-forwarded-host",
      "x-forwarded-proto",
      "forwarded",
    ])("%s never reads another's entry", async (name) => {
      const app = await appWith((req, res) => {
        res.set("Cache-Control", "max-age=60").send(`from ${req.get(name) ?? "nobody"}`);
      });
      expect((await app.get("/", { [name]: "evil" })).text).toBe("from evil");
      expect((await app.get("/")).text).toBe("from nobody");
      expect((await app.get("/", { [name]: "evil" })).did).toMatch(/^hit/);
    });

    test("a mounted cache knows the whole path", async () => {
      const express = (await import("express")).default;
      const { cache } = await import("../../src/cache/index.js");
      const { listen } = await import("../support/server.js");
      const { ask } = await import("./support.js");
      const app = express();
      const shared = cache();
      app.use(
        "/api",
        shared,
        (req, res) => void res.set("Cache-Control", "max-age=60").send(req.originalUrl),
      );
      app.use(
        "/other",
        shared,
        (req, res) => void res.set("Cache-Control", "max-age=60").send(req.originalUrl),
      );
      const server = await listen(app);
      await ask(`${server.url}/api/x`);
      expect((await ask(`${server.url}/other/x`)).text).toBe("/other/x");
      expect((await ask(`${server.url}/api/x`)).did).toMatch(/^hit/);
    });

    test("for a host that is not listed nothing is stored", async () => {
      const app = await appWith(echo, { options: { hosts: ["Good.example"] } });
      await app.get("/", { host: "evil.example" });
      const second = await app.get("/", { host: "evil.example" });
      expect([second.did, second.text]).toEqual(["fwd=bypass; detail=host", "evil.example /"]);
      await app.get("/", { host: "good.example:8443" });
      expect((await app.get("/", { host: "good.example:8443" })).did).toMatch(/^hit/);
    });

    test("what the option key leaves out does not count", async () => {
      const app = await appWith(echo, { options: { key: (req) => req.path } });
      await app.get("/a?utm=1");
      expect((await app.get("/a?utm=2")).text).toMatch(/utm=1$/);
    });

    test("a key of undefined bypasses the cache; an error that key throws goes to the error handler", async () => {
      const app = await appWith(echo, {
        options: {
          key: (req) => {
            if (req.path === "/bad") throw new Error("no key");
            if (req.path === "/number") return 5 as never;
            return undefined;
          },
        },
        after: [
          ((error, _req, res, _next) =>
            void res.status(500).send(error.message)) as import("express").ErrorRequestHandler,
        ],
      });
      expect((await app.get("/")).did).toBe("fwd=bypass; detail=key");
      expect((await app.get("/bad")).text).toBe("no key");
      expect((await app.get("/number")).text).toMatch(/the option key must return a string, or undefined/);
    });
  });

  describe("what belongs to one client", () => {
    const greet: RequestHandler = (req, res) => {
      const who = req.headers.authorization ?? req.headers.cookie ?? req.headers["x-api-key"] ?? "nobody";
      res.set("Cache-Control", String(req.query.cc ?? "max-age=60")).send(`Hello ${who}`);
    };

    test("an answer to a request with Authorization is neither stored nor served from the store", async () => {
      const app = await appWith(greet);
      expect((await app.get("/", { authorization: "alice" })).text).toBe("Hello alice");
      expect((await app.get("/", { authorization: "bob" })).text).toBe("Hello bob");
      expect((await app.get("/")).text).toBe("Hello nobody");
      expect((await app.get("/", { authorization: "carol" })).text).toBe("Hello carol");
    });

    test.each([
      "public, max-age=60",
      "s-maxage=60",
      "must-revalidate, max-age=60",
    ])("%s allows an answer to Authorization to be stored", async (value) => {
      const app = await appWith(greet);
      const path = `/?cc=${encodeURIComponent(value)}`;
      await app.get(path, { authorization: "alice" });
      expect((await app.get(path, { authorization: "bob" })).text).toBe("Hello alice");
    });

    test("a request with a cookie bypasses the cache", async () => {
      const app = await appWith(greet);
      await app.get("/");
      const own = await app.get("/", { cookie: "sid=alice" });
      expect([own.text, own.did]).toEqual(["Hello sid=alice", "fwd=bypass; detail=cookie"]);
      expect((await app.get("/")).text).toBe("Hello nobody");
    });

    test("Set-Cookie is not stored; with cookies: true it is left out", async () => {
      const handler: RequestHandler = (_req, res) => {
        res.set("Cache-Control", "max-age=60").cookie("sid", "alice").send("page");
      };
      const app = await appWith(handler);
      expect((await app.get()).did).toMatch(/^fwd=uri-miss; detail=/);
      expect((await app.get()).did).toMatch(/^fwd=uri-miss/);
      const open = await appWith(handler, { options: { cookies: true } });
      expect((await open.get("/", { cookie: "a=1" })).headers["set-cookie"]).toBeDefined();
      const second = await open.get("/", { cookie: "b=2" });
      expect([second.did.slice(0, 3), second.headers["set-cookie"]]).toEqual(["hit", undefined]);
    });

    test.each(["user", "auth"])("a req.%s set by middleware counts like Authorization", async (name) => {
      const app = await appWith(greet, {
        before: [
          (req, _res, next) => {
            if (req.headers["x-api-key"] !== undefined)
              Object.assign(req, { [name]: { id: req.headers["x-api-key"] } });
            next();
          },
        ],
      });
      expect((await app.get("/", { "x-api-key": "alice" })).text).toBe("Hello alice");
      expect((await app.get("/", { "x-api-key": "bob" })).text).toBe("Hello bob");
      expect((await app.get("/")).text).toBe("Hello nobody");
    });

    test("a page with a nonce is not stored", async () => {
      const app = await appWith((_req, res) => {
        res.set("Cache-Control", "max-age=60");
        res.set("Content-Security-Policy", "script-src 'nonce-abc'").send("<script nonce=abc></script>");
      });
      expect((await app.get()).did).toMatch(/detail=nonce/);
      await app.get();
      expect(app.runs()).toBe(2);
    });

    test("an answer that allows one origin is not served to another", async () => {
      const app = await appWith((req, res) => {
        res
          .set("Cache-Control", "max-age=60")
          .set("Access-Control-Allow-Origin", req.get("origin") ?? "null")
          .send("x");
      });
      await app.get("/", { origin: "https://a.example" });
      const other = await app.get("/", { origin: "https://b.example" });
      expect(other.headers["access-control-allow-origin"]).toBe("https://b.example");
      expect((await app.get("/", { origin: "https://a.example" })).did).toMatch(/^hit/);
    });

    test("headers that outer middleware sets for one response are not served again", async () => {
      let id = 0;
      const app = await appWith(greet, {
        before: [
          (_req, res, next) => {
            res.set({ "X-Request-Id": `id-${++id}`, "Server-Timing": `t;dur=${id}`, "X-Outer": `${id}` });
            next();
          },
        ],
      });
      await app.get();
      const second = await app.get();
      expect([
        second.headers["x-request-id"],
        second.headers["server-timing"],
        second.headers["x-outer"],
      ]).toEqual(["id-2", "t;dur=2", "2"]);
    });
  });

  describe("variants", () => {
    const speak: RequestHandler = (req, res) => {
      res
        .vary("Accept-Language")
        .set("Cache-Control", "max-age=60")
        .send(`in ${req.get("accept-language") ?? "any"}`);
    };

    test("variants of one URL are stored side by side", async () => {
      const app = await appWith(speak);
      expect((await app.get("/", { "accept-language": "fr" })).text).toBe("in fr");
      const missed = await app.get("/", { "accept-language": "de" });
      expect([missed.text, missed.did]).toEqual(["in de", "fwd=vary-miss; stored"]);
      expect((await app.get("/")).text).toBe("in any");
      expect((await app.get("/", { "accept-language": "fr" })).text).toBe("in fr");
      expect(app.runs()).toBe(3);
    });

    test("an answer with Vary: * is never served again", async () => {
      const app = await appWith(
        (_req, res) => void res.set({ Vary: "*", "Cache-Control": "max-age=60" }).send("x"),
      );
      await app.get();
      await app.get();
      expect(app.runs()).toBe(2);
    });

    test("a Vary of outer middleware selects variants too, but is not stored: a hit has its current value", async () => {
      let outer = "Origin";
      const app = await appWith(
        (_req, res) => void res.vary("Accept").set("Cache-Control", "max-age=60").send("x"),
        {
          before: [
            (_req, res, next) => {
              res.vary(outer);
              next();
            },
          ],
        },
      );
      await app.get("/", { origin: "https://a.example" });
      expect((await app.get("/", { origin: "https://b.example" })).did).toMatch(/^fwd=vary-miss/);
      outer = "X-Other";
      const again = await app.get("/", { origin: "https://a.example" });
      expect(again.did).toMatch(/^hit/);
      expect(again.headers.vary).toBe("X-Other, Accept");
    });

    test("a 304 that forbids storing purges the stored answer", async () => {
      let cacheControl = "max-age=10";
      const app = await appWith(
        (_req, res) => void res.set({ "Cache-Control": cacheControl, ETag: '"v"' }).send("x"),
      );
      await app.get();
      advance(20);
      cacheControl = "private";
      const validated = await app.get();
      expect([validated.status, validated.text]).toEqual([200, "x"]);
      expect(validated.did).toMatch(/^fwd=stale; fwd-status=304; ttl=.*; detail=private$/);
      expect((await app.get()).did).toMatch(/^fwd=uri-miss/);
    });
  });
});

describe("stored statuses", () => {
  useClock();
  afterEach(closeHttp2);

  const page: RequestHandler = (_req, res) => void res.set("Cache-Control", "max-age=60").send("page");
  const streamed: RequestHandler = (_req, res) => {
    res.set("Cache-Control", "max-age=60").write("pa");
    setImmediate(() => res.end("ge"));
  };
  const sessions = () => session({ secret: "s", resave: false, saveUninitialized: true });

  describe("Cache-Status does not say `stored` if outer middleware adds a cookie with the head", () => {
    const late: [string, RequestHandler][] = [
      ["express-session", sessions()],
      [
        "a patched writeHead that sets it",
        (_req, res, next) => {
          const { writeHead } = res;
          res.writeHead = function patched(this: typeof res, ...args: [number]) {
            res.setHeader("set-cookie", ["a=1"]);
            return writeHead.apply(this, args);
          } as typeof res.writeHead;
          next();
        },
      ],
      [
        "a patched writeHead that appends it",
        (_req, res, next) => {
          const { writeHead } = res;
          res.writeHead = function patched(this: typeof res, ...args: [number]) {
            res.appendHeader("SET-COOKIE", "a=1");
            return writeHead.apply(this, args);
          } as typeof res.writeHead;
          next();
        },
      ],
      [
        "a patched writeHead that gives it on",
        (_req, res, next) => {
          const { writeHead } = res;
          res.writeHead = function patched(this: typeof res, status: number) {
            return writeHead.call(this, status, { "Set-Cookie": "a=1" });
          } as typeof res.writeHead;
          next();
        },
      ],
    ];

    test.each(late)("%s", async (_name, outer) => {
      for (const handler of [page, streamed]) {
        const app = await appWith(handler, { before: [cache({ name: "outer" }), outer] });
        for (let i = 0; i < 2; i++) {
          const { headers, text } = await app.get();
          expect([headers["set-cookie"]?.length, text]).toEqual([1, "page"]);
          expect(headers["cache-status"]).toBe(
            "portico; fwd=uri-miss; detail=set-cookie, outer; fwd=uri-miss; detail=set-cookie",
          );
        }
        expect((await app.cached.stats()).entries).toBe(0);
      }
    });

    test("over HTTP/2", async () => {
      const { default: express } = await import("express");
      const app = express();
      const cached = cache();
      app.use((req, res, next) => {
        Object.defineProperty(req, "secure", { value: true });
        sessions()(req, res, next);
      });
      app.use(cached);
      app.use(page);
      const tls = await certificate();
      const served = await serve(app, {
        port: 0,
        host: "127.0.0.1",
        http2: true,
        tls,
        logger: memoryLogger(),
      });
      const client = connectHttp2(served.url);
      const { headers } = await onHttp2(client, "/");
      expect([headers["set-cookie"]?.length, headers["cache-status"]]).toEqual([
        1,
        "portico; fwd=uri-miss; detail=set-cookie",
      ]);
      client.close();
      await served.close();
    });

    test("Cache-Status says `stored` if no cookie is set, and the response's methods are unchanged", async () => {
      const app = await appWith(page, {
        before: [
          session({ secret: "s", resave: false, saveUninitialized: false }),
          (_req, res, next) => {
            res.on("finish", () =>
              expect([Object.hasOwn(res, "setHeader"), Object.hasOwn(res, "appendHeader")]).toEqual([
                false,
                false,
              ]),
            );
            next();
          },
        ],
      });
      expect((await app.get()).did).toBe("fwd=uri-miss; stored");
      expect((await app.get()).did).toMatch(/^hit/);
    });

    test("with cookies: true it is stored, without the cookie", async () => {
      const app = await appWith(page, { before: [sessions()], options: { cookies: true } });
      expect((await app.get()).did).toBe("fwd=uri-miss; stored");
      expect((await app.get()).did).toMatch(/^hit/);
    });
  });

  describe("Cache-Status does not say `stored` while the store is down", () => {
    test("with a Redis that is not there", async () => {
      const client = new Redis({
        port: 1,
        lazyConnect: true,
        maxRetriesPerRequest: 0,
        retryStrategy: () => null,
      });
      client.on("error", () => {});
      const store = redisStore({ client, timeoutMs: 50, logger: memoryLogger() });
      const app = await appWith(page, { options: { store } });
      for (let i = 0; i < 5; i++) expect((await app.get()).did).toBe("fwd=uri-miss; detail=store");
      client.disconnect();
    });

    test("with a store whose lookups fail", async () => {
      jest.spyOn(process.stderr, "write").mockReturnValue(true);
      const store: CacheStore = {
        ...ownStore(),
        get: () => Promise.reject(new Error("down")),
      };
      const app = await appWith(page, { options: { store } });
      for (let i = 0; i < 5; i++) expect((await app.get()).did).toBe("fwd=uri-miss; detail=store");
    });

    test("with a store whose puts fail, once they are no longer tried", async () => {
      jest.spyOn(process.stderr, "write").mockReturnValue(true);
      const store: CacheStore = { ...ownStore(), put: () => Promise.reject(new Error("down")) };
      const app = await appWith(page, { options: { store } });
      const did: string[] = [];
      for (let i = 0; i < 5; i++) did.push((await app.get(`/${i}`)).did);
      expect(did.at(-1)).toBe("fwd=uri-miss; detail=store");
    });
  });

  function ownStore(): CacheStore {
    const inner = memoryStore();
    return {
      maxEntryBytes: 1_000,
      get: (key, variantOf) => inner.get(key, variantOf),
      put: (...args) => inner.put(...args),
      purge: (target) => inner.purge(target),
      stats: () => inner.stats(),
    };
  }
});

describe("Cache-Status", () => {
  it.each<[string, CacheStatusParts, string]>([
    ["portico", { hit: true, ttlSeconds: 30 }, "portico; hit; ttl=30"],
    ["portico", { hit: true, ttlSeconds: -5 }, "portico; hit; ttl=-5"],
    ["portico", { hit: true, fwd: "stale" }, "portico; hit"],
    ["portico", { hit: false, fwd: "uri-miss", stored: true }, "portico; fwd=uri-miss; stored"],
    ["portico", { fwd: "uri-miss", collapsed: true, stored: false }, "portico; fwd=uri-miss; collapsed"],
    [
      "portico",
      { fwd: "stale", fwdStatus: 304, ttlSeconds: 59.9, stored: true },
      "portico; fwd=stale; fwd-status=304; ttl=59; stored",
    ],
    ["portico", { fwd: "bypass", detail: "cookie" }, "portico; fwd=bypass; detail=cookie"],
    ["portico", { fwd: "bypass", detail: "two words" }, 'portico; fwd=bypass; detail="two words"'],
    ["portico", { hit: true, key: 'a.example /x?"\\=1' }, 'portico; hit; key="a.example /x?\\"\\\\=1"'],
    ["portico", { hit: true, key: "/\u00e4\r\nSet-Cookie: x" }, 'portico; hit; key="/???Set-Cookie: x"'],
    ["portico", { hit: true, key: "x".repeat(600) }, `portico; hit; key="${"x".repeat(512)}"`],
    ["portico", { ttlSeconds: Number.POSITIVE_INFINITY }, "portico; ttl=999999999999999"],
    ["portico", { ttlSeconds: Number.NaN }, "portico; ttl=0"],
    ["portico", { ttlSeconds: -0 }, "portico; ttl=0"],
    ["portico", {}, "portico"],
    ["my cache", { hit: true }, '"my cache"; hit'],
    ["1st", { hit: true }, '"1st"; hit'],
    ["a.example:80/x", { hit: true }, "a.example:80/x; hit"],
    ["", {}, '""'],
  ])("%s %j", (name, parts, expected) => {
    expect(cacheStatus(name, parts)).toBe(expected);
  });

  it("is a valid structured field, whatever its parts are", () => {
    const parts = fc.record(
      {
        hit: fc.boolean(),
        fwd: fc.constantFrom("bypass" as const, "vary-miss" as const),
        fwdStatus: fc.nat(999),
        ttlSeconds: fc.double(),
        key: anyText(),
        detail: anyText(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(anyText(), parts, (name, given) => {
        // An item with parameters is read as the value of a dictionary member.
        expect(parseDictionary(`x=${cacheStatus(name, given)}`)?.size).toBe(1);
      }),
    );
  });
});
