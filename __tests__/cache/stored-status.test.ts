import type { RequestHandler } from "express";
import session from "express-session";
import { Redis } from "ioredis";
import { type CacheStore, cache, memoryStore, redisStore } from "../../src/cache/index.js";
import { serve } from "../../src/serve/index.js";
import { certificate } from "../support/certificate.js";
import { closeHttp2, connectHttp2, ask as onHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { appWith, useClock } from "./support.js";

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
    const served = await serve(app, { port: 0, host: "127.0.0.1", http2: true, tls, logger: memoryLogger() });
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
