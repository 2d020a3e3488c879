import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import { requestContext } from "../../src/context/index.js";
import { pendingTasks } from "../../src/lib/request/tasks.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { advance, appWith, useClock } from "./support.js";

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
    jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "queueMicrotask", "Date", "performance"] });
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
