import type { TLSSocket } from "node:tls";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import { requestContext } from "../../src/context/index.js";
import { pendingTasks } from "../../src/lib/request/tasks.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { advance, appWith, stopClock, useClock } from "./support.js";

describe("stale responses", () => {
  useClock();

  function counting(cacheControl: string): RequestHandler {
    let count = 0;
    return (_req, res) => void res.set("Cache-Control", cacheControl).json({ count: ++count });
  }

  describe("stale-while-revalidate", () => {
    test("sends the stale answer at once, and refreshes it once in the background", async () => {
      let open: () => void = () => {};
      let gate = Promise.resolve();
      let count = 0;
      const app = await appWith(async (_req, res) => {
        await gate;
        res.set("Cache-Control", "max-age=10, stale-while-revalidate=60").json({ count: ++count });
      });
      await app.get();
      advance(20);
      gate = new Promise((resolve) => {
        open = resolve;
      });
      const answers = await Promise.all([app.get(), app.get(), app.get()]);
      for (const answer of answers) {
        expect(answer.text).toBe('{"count":1}');
        expect(answer.did).toMatch(/^hit; ttl=-\d+$/);
        expect(Number(answer.headers.age)).toBeGreaterThanOrEqual(20);
      }
      await until(() => app.runs() === 2);
      open();
      await until(() => pendingTasks().length === 0);
      const after = await app.get();
      expect([after.text, app.runs()]).toEqual(['{"count":2}', 2]);
      expect(after.did).toMatch(/^hit; ttl=\d+$/);
    });

    test("after the window the handler is asked first", async () => {
      const app = await appWith(counting("max-age=10, stale-while-revalidate=60"));
      await app.get();
      advance(71);
      expect((await app.get()).text).toBe('{"count":2}');
    });

    test("a failed refresh reaches no client, and the next one tries again", async () => {
      let fails = false;
      const app = await appWith(
        (_req, res) => {
          if (fails) throw new Error("down");
          res.set("Cache-Control", "max-age=10, stale-while-revalidate=600").send("fine");
        },
        { after: [((_error, _req, res, _next) => void res.status(500).send("no")) as ErrorRequestHandler] },
      );
      await app.get();
      fails = true;
      for (const runs of [2, 3]) {
        advance(20);
        expect((await app.get()).text).toBe("fine");
        await until(() => app.runs() === runs && pendingTasks().length === 0);
      }
    });

    test("after a failed refresh the next one waits, twice as long each time, until one succeeds", async () => {
      let fails = false;
      const app = await appWith((_req, res) => {
        if (fails) res.destroy();
        else res.set("Cache-Control", "max-age=10, stale-while-revalidate=3600").send("fine");
      });
      stopClock();
      await app.get();
      let runs = 1;
      /** Whether this request starts a background refresh. */
      const asks = async () => {
        const { text, did } = await app.get();
        expect([text, did]).toEqual(["fine", expect.stringMatching(/^hit; ttl=-/)]);
        await until(() => pendingTasks().length === 0);
        const before = runs;
        runs = app.runs();
        return runs > before;
      };
      fails = true;
      advance(20);
      expect(await asks()).toBe(true);
      for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
        expect(await asks()).toBe(false);
        advance(seconds - 0.5);
        expect(await asks()).toBe(false);
        advance(0.5);
        expect(await asks()).toBe(true);
      }
      fails = false;
      advance(60);
      expect(await asks()).toBe(true); // well
      fails = true;
      advance(20);
      expect(await asks()).toBe(true);
      advance(1);
      expect(await asks()).toBe(true); // from the beginning
    });

    test("a handler may use the socket of a refresh as that of a client", async () => {
      const seen: unknown[] = [];
      const app = await appWith((req, res) => {
        const socket = req.socket as TLSSocket;
        socket.setTimeout(60_000).setNoDelay().setKeepAlive().unref().ref();
        if (app.runs() > 1) seen.push(socket.remoteAddress, socket.address(), socket.getPeerCertificate());
        res.set("Cache-Control", "max-age=10, stale-while-revalidate=60").send(`run ${app.runs()}`);
      });
      await app.get();
      advance(20);
      expect((await app.get()).text).toBe("run 1");
      await until(() => app.runs() === 2 && pendingTasks().length === 0);
      expect((await app.get()).text).toBe("run 2");
      expect(seen).toEqual([expect.stringContaining("127.0.0.1"), {}, {}]);
    });

    test.each([
      "destroySoon",
      "resetAndDestroy",
    ] as const)("a handler that ends the connection of a refresh with %s fails the refresh alone", async (end) => {
      const app = await appWith((req, res) => {
        if (app.runs() === 2) req.socket[end]();
        else res.set("Cache-Control", "max-age=10, stale-while-revalidate=600").send(`run ${app.runs()}`);
      });
      await app.get();
      advance(20);
      expect((await app.get()).text).toBe("run 1");
      await until(() => app.runs() === 2 && pendingTasks().length === 0);
      expect((await app.get()).text).toBe("run 1");
    });

    test("the handlers see a request as the client's, without its conditions; the log has no record of it", async () => {
      const seen: unknown[] = [];
      const logger = memoryLogger();
      const app = await appWith(
        (req, res) => {
          seen.push([
            req.method,
            req.originalUrl,
            req.headers.host,
            req.get("accept"),
            req.headers["if-none-match"],
            req.ip,
          ]);
          res.set("Cache-Control", "max-age=10, stale-while-revalidate=60").send("x");
        },
        { before: [requestContext({ check: false }), requestLog({ logger })] },
      );
      const headers = { accept: "text/x", host: "www.example", "if-none-match": '"nothing"' };
      await app.get("/page?q=1", headers);
      advance(20);
      await app.get("/page?q=1", headers);
      await until(() => seen.length === 2 && pendingTasks().length === 0);
      const tag = seen[1] as unknown[];
      expect(tag.slice(0, 4)).toEqual((seen[0] as unknown[]).slice(0, 4));
      expect(tag[4]).toMatch(/^W?\/?"/); // the stored one's
      expect(tag[5]).toBe("127.0.0.1");
      expect(logger.entries).toHaveLength(2);
      expect(logger.entries.map(({ fields }) => fields.cache)).toEqual(["miss", "stale"]);
    });

    test("works under a mounted app, and by a 304", async () => {
      const { cache } = await import("../../src/cache/index.js");
      const { listen } = await import("../support/server.js");
      const { ask } = await import("./support.js");
      const inner = express();
      let runs = 0;
      inner.use(cache());
      inner.get("/x", (_req, res) => {
        runs++;
        res.set("Cache-Control", "max-age=10, stale-while-revalidate=60").send("same");
      });
      const outer = express();
      outer.use("/api", inner);
      const server = await listen(outer);
      await ask(`${server.url}/api/x`);
      advance(20);
      expect((await ask(`${server.url}/api/x`)).did).toMatch(/^hit; ttl=-/);
      await until(() => runs === 2 && pendingTasks().length === 0);
      expect((await ask(`${server.url}/api/x`)).did).toMatch(/^hit; ttl=\d/);
    });

    test("a refresh whose handler never answers is aborted", async () => {
      let hangs = false;
      const app = await appWith((_req, res) => {
        if (!hangs) res.set("Cache-Control", "max-age=10, stale-while-revalidate=600").send("fine");
      });
      await app.get();
      hangs = true;
      advance(20);
      jest.useFakeTimers({
        doNotFake: ["nextTick", "setImmediate", "queueMicrotask", "Date", "performance"],
      });
      try {
        expect((await app.get()).text).toBe("fine");
        await new Promise((resolve) => setImmediate(resolve));
        expect(pendingTasks()).toHaveLength(1);
        jest.advanceTimersByTime(30_000);
        await new Promise((resolve) => setImmediate(resolve));
        expect(pendingTasks()).toHaveLength(0);
      } finally {
        jest.useRealTimers();
      }
    });
  });

  describe("stale-if-error", () => {
    const failing = (how: RequestHandler, cacheControl = "max-age=10, stale-if-error=60"): RequestHandler => {
      let first = true;
      return (req, res, next) => {
        if (!first) return how(req, res, next);
        first = false;
        res.set("Cache-Control", cacheControl).json({ old: true });
      };
    };
    const after = [recover({ logger: memoryLogger() })];

    const failures: [string, RequestHandler][] = [
      [
        "throws",
        () => {
          throw new Error("down");
        },
      ],
      ["rejects", () => Promise.reject(new Error("down"))],
      ["calls next(err)", (_req, _res, next) => next(new Error("down"))],
      ["answers 500", (_req, res) => void res.status(500).send("down")],
      ["answers 502", (_req, res) => void res.status(502).send("down")],
      [
        "answers 503 in pieces",
        (_req, res) => {
          res.status(503);
          res.write("do");
          res.end("wn");
        },
      ],
      ["answers 504", (_req, res) => void res.sendStatus(504)],
    ];

    test.each(failures)("the stale answer is sent for a handler that %s", async (_name, how) => {
      const app = await appWith(failing(how), { after });
      const first = await app.get();
      advance(20);
      const second = await app.get();
      expect([second.status, second.text]).toEqual([200, first.text]);
      expect(second.did).toMatch(/^fwd=stale; fwd-status=50\d; ttl=-\d+; detail=stale-if-error$/);
      expect(second.headers.etag).toBe(first.headers.etag);
      expect(second.headers["content-type"]).toBe(first.headers["content-type"]);
      advance(51);
      expect((await app.get()).status).toBeGreaterThanOrEqual(500);
    });

    test.each([
      "max-age=10, stale-if-error=60, must-revalidate",
      "max-age=10, stale-if-error=60, proxy-revalidate",
      "s-maxage=10, stale-if-error=60",
      "max-age=10, stale-if-error=60, no-cache",
      "max-age=10",
    ])("with %s the error is sent", async (cacheControl) => {
      const app = await appWith(
        failing((_req, res) => void res.status(503).send("down"), cacheControl),
        { after },
      );
      await app.get();
      advance(20);
      expect([(await app.get()).status, app.runs()]).toEqual([503, 2]);
    });

    test("a client error is not replaced", async () => {
      const app = await appWith(
        failing((_req, res) => void res.sendStatus(404)),
        { after },
      );
      await app.get();
      advance(20);
      expect((await app.get()).status).toBe(404);
    });

    test("requests that wait for a failed fetch get the stale answer too, and the handler runs once", async () => {
      let open: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      let arrived = 0;
      const before: RequestHandler[] = [
        (_req, _res, next) => {
          next();
          arrived++;
        },
      ];
      const app = await appWith(
        failing(async () => {
          await gate;
          throw new Error("down");
        }),
        { before, after },
      );
      await app.get();
      advance(20);
      const answers = Array.from({ length: 5 }, () => app.get());
      await until(() => arrived === 6);
      open();
      for (const answer of await Promise.all(answers))
        expect([answer.status, answer.text]).toEqual([200, '{"old":true}']);
      expect(app.runs()).toBe(2);
    });
  });

  describe("what the client says", () => {
    test.each([
      ["no-cache", 2],
      ["max-age=0", 2],
      ["max-age=5", 2],
      ["min-fresh=55", 2],
      ["max-stale", 1],
      ["only-if-cached", 1],
      ["no-store", 1],
    ])("with Cache-Control: %s for a fresh answer the handler runs %i times", async (value, runs) => {
      const app = await appWith(counting("max-age=60"));
      await app.get();
      advance(10);
      await app.get("/", { "cache-control": value });
      expect(app.runs()).toBe(runs);
    });

    test("Pragma: no-cache counts without Cache-Control", async () => {
      const app = await appWith(counting("max-age=60"));
      await app.get();
      expect((await app.get("/", { pragma: "no-cache" })).did).toMatch(/^fwd=request/);
    });

    test("only-if-cached gets 504 if nothing is stored", async () => {
      const app = await appWith(counting("max-age=60"));
      const answer = await app.get("/", { "cache-control": "only-if-cached" });
      expect([answer.status, app.runs()]).toEqual([504, 0]);
    });

    test.each([
      "must-revalidate",
      "proxy-revalidate",
      "s-maxage=10",
      "no-cache",
    ])("max-stale does not override %s", async (value) => {
      const app = await appWith(counting(`max-age=10, ${value}`));
      await app.get();
      advance(20);
      await app.get("/", { "cache-control": "max-stale=600" });
      expect(app.runs()).toBe(2);
    });

    test("max-stale gets a stale answer", async () => {
      const app = await appWith(counting("max-age=10"));
      await app.get();
      advance(20);
      expect((await app.get("/", { "cache-control": "max-stale=60" })).text).toBe('{"count":1}');
    });

    test("the answer to a client's no-store is not stored", async () => {
      const app = await appWith(counting("max-age=60"));
      await app.get("/", { "cache-control": "no-store" });
      await app.get();
      expect(app.runs()).toBe(2);
    });

    test("with requestDirectives: false no client reaches the handlers past the cache", async () => {
      const app = await appWith(counting("max-age=60"), { options: { requestDirectives: false } });
      await app.get("/", { "cache-control": "no-store" });
      for (const value of ["no-cache", "max-age=0", "no-store", "only-if-cached"]) {
        expect((await app.get("/", { "cache-control": value, pragma: "no-cache" })).did).toMatch(/^hit/);
      }
    });
  });
});

describe("validation", () => {
  useClock();

  const page: RequestHandler = (_req, res) => {
    res.set({
      "Cache-Control": "max-age=60",
      ETag: '"v1"',
      "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT",
    });
    res.type("text/plain").send("0123456789");
  };

  describe("a client's conditions", () => {
    test.each([
      [{ "if-none-match": '"v1"' }, 304],
      [{ "if-none-match": 'W/"v1"' }, 304],
      [{ "if-none-match": '"a", W/"v1"' }, 304],
      [{ "if-none-match": "*" }, 304],
      [{ "if-none-match": '"v2"' }, 200],
      [{ "if-modified-since": "Wed, 01 Jan 2020 00:00:00 GMT" }, 304],
      [{ "if-modified-since": "Tue, 31 Dec 2019 00:00:00 GMT" }, 200],
      [{ "if-none-match": '"v2"', "if-modified-since": "Wed, 01 Jan 2020 00:00:00 GMT" }, 200],
    ])("%j gets %i, from the store and from the handlers", async (headers, status) => {
      const app = await appWith(page);
      const missed = await app.get("/", headers);
      expect([missed.status, missed.text]).toEqual([status, status === 304 ? "" : "0123456789"]);
      const hit = await app.get("/", headers);
      expect([hit.status, hit.text, app.runs()]).toEqual([status, status === 304 ? "" : "0123456789", 1]);
      expect(hit.headers).toMatchObject({ etag: '"v1"', "cache-control": "max-age=60" });
      expect(hit.headers.date).toBe(missed.headers.date);
      if (status === 304) expect(hit.headers["content-length"]).toBeUndefined();
      // The miss has stored the whole answer, whatever its client got.
      expect((await app.get()).text).toBe("0123456789");
      expect(app.runs()).toBe(1);
    });

    test("a 304 that the handler sends without being asked to validate is not stored", async () => {
      const app = await appWith((_req, res) => void res.status(304).set("Cache-Control", "max-age=60").end());
      await app.get();
      await app.get();
      expect(app.runs()).toBe(2);
    });

    test("If-Match goes to the handlers", async () => {
      const app = await appWith(page);
      await app.get();
      expect((await app.get("/", { "if-match": '"v0"' })).did).toBe("fwd=bypass; detail=precondition");
    });

    test("code that reads the request's headers afterwards sees those of the client", async () => {
      let seen: unknown;
      const app = await appWith(page, {
        before: [
          (req, res, next) => {
            res.once("close", () =>
              setImmediate(() => {
                seen = req.headers["if-none-match"];
              }),
            );
            next();
          },
        ],
      });
      await app.get("/", { "if-none-match": '"mine"' });
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(seen).toBe('"mine"');
    });
  });

  describe("validation", () => {
    test("a 304 of the handler makes the stored answer fresh again, with the new headers", async () => {
      let version = 0;
      const asked: unknown[] = [];
      const app = await appWith((req, res) => {
        asked.push([req.headers["if-none-match"], req.headers["if-modified-since"], req.headers.range]);
        res.set({ "Cache-Control": "max-age=60", ETag: '"v1"', "X-Version": String(++version) });
        if (req.headers["if-none-match"] === '"v1"') res.status(304).end();
        else res.send("body");
      });
      const first = await app.get();
      advance(61);
      const second = await app.get("/", { range: "bytes=0-1" });
      expect([second.status, second.text, second.headers["x-version"]]).toEqual([206, "bo", "2"]);
      expect(second.did).toMatch(/^fwd=stale; fwd-status=304; ttl=\d+; stored$/);
      expect(asked).toEqual([
        [undefined, undefined, undefined],
        ['"v1"', undefined, undefined],
      ]);
      const third = await app.get();
      expect([third.text, third.headers["x-version"], app.runs()]).toEqual(["body", "2", 2]);
      expect(third.headers["content-type"]).toBe(first.headers["content-type"]);
      expect(third.headers["content-length"]).toBe("4");
      expect(third.did).toMatch(/^hit; ttl=[56]\d/);
    });

    test("Express makes the 304 of res.json by itself", async () => {
      const app = await appWith(
        (_req, res) => void res.set("Cache-Control", "no-cache").json({ same: true }),
      );
      const first = await app.get();
      const second = await app.get();
      expect([second.status, second.text]).toEqual([200, first.text]);
      expect(second.did).toMatch(/^fwd=request; fwd-status=304/);
      const third = await app.get("/", { "if-none-match": String(first.headers.etag) });
      expect([third.status, third.text]).toEqual([304, ""]);
    });

    test("a new answer replaces the old one", async () => {
      let body = "old";
      const app = await appWith((_req, res) => void res.set("Cache-Control", "max-age=10").send(body));
      await app.get();
      body = "new";
      advance(11);
      expect((await app.get()).text).toBe("new");
      expect((await app.get()).did).toMatch(/^hit/);
    });
  });

  describe("HEAD", () => {
    test("HEAD is answered from a stored GET, with its length and no body", async () => {
      const app = await appWith(page);
      await app.get();
      const head = await app.send("HEAD");
      expect([head.status, head.text, head.headers["content-length"], head.did.slice(0, 3)]).toEqual([
        200,
        "",
        "10",
        "hit",
      ]);
      expect(app.runs()).toBe(1);
    });

    test("HEAD never stores anything", async () => {
      const app = await appWith(page);
      await app.send("HEAD");
      expect((await app.get()).text).toBe("0123456789");
      expect(app.runs()).toBe(2);
    });
  });

  describe("ranges", () => {
    test.each([
      ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
      ["bytes=-3", 206, "789", "bytes 7-9/10"],
      ["bytes=8-", 206, "89", "bytes 8-9/10"],
      ["bytes=5-99", 206, "56789", "bytes 5-9/10"],
      ["bytes=10-", 416, "", "bytes */10"],
      ["bytes=0-1,4-5", 200, "0123456789", undefined],
      ["lines=1", 200, "0123456789", undefined],
    ])("%s of a stored answer gets %i", async (range, status, text, contentRange) => {
      const app = await appWith(page);
      await app.get();
      const answer = await app.get("/", { range });
      expect([answer.status, answer.text, answer.headers["content-range"]]).toEqual([
        status,
        text,
        contentRange,
      ]);
      expect(app.runs()).toBe(1);
    });

    test("a range with another tag in If-Range gets the whole body", async () => {
      const app = await appWith(page);
      await app.get();
      expect((await app.get("/", { range: "bytes=0-3", "if-range": '"v0"' })).status).toBe(200);
      expect((await app.get("/", { range: "bytes=0-3", "if-range": '"v1"' })).status).toBe(206);
    });

    test("the handlers' own 206 is sent, and not stored", async () => {
      const app = await appWith((_req, res) => {
        res.status(206).set({ "Cache-Control": "max-age=60", "Content-Range": "bytes 0-1/10" }).send("01");
      });
      const answer = await app.get("/", { range: "bytes=0-1" });
      expect([answer.status, answer.text]).toEqual([206, "01"]);
      await app.get("/", { range: "bytes=0-1" });
      expect(app.runs()).toBe(2);
    });
  });
});
