import http from "node:http";
import net from "node:net";
import { Readable } from "node:stream";
import express, { type RequestHandler } from "express";
import { contextOf } from "../../src/context/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { type TimeoutOptions, timeout } from "../../src/timeout/index.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { SOAK } from "../support/soak.js";
import { GET, GET_FINE, get, MS, never, sleep, talk, watchProcess, watchStderr } from "./support.js";

const stderr = watchStderr();
watchProcess();
afterEach(closeServers);

async function serve(
  handler: RequestHandler,
  options: Partial<TimeoutOptions> = {},
  outer: RequestHandler[] = [],
) {
  const records: Record<string, unknown>[] = [];
  const app = express();
  app.use(requestLog({ format: "json", stream: { write: (line) => void records.push(JSON.parse(line)) } }));
  for (const one of outer) app.use(one);
  app.get("/fine", (_req, res) => void res.send("fine"));
  app.use(timeout({ ms: MS, ...options }));
  app.use(handler);
  return { ...(await listen(app)), records };
}

describe("an upload", () => {
  const post = (length: number, more = "") =>
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n${more}\r\n`;

  it.each<[string, RequestHandler, string]>([
    ["that nobody reads, and stalls", never, `${post(1_000)}abc`],
    ["that a body parser waits for", express.json(), `${post(1_000, "Content-Type: application/json\r\n")}{`],
    ["that is large and unread", never, post(10_000_000) + "x".repeat(100_000)],
    [
      "of unknown length",
      never,
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
    ["that waits to be asked for", never, post(1_000, "Expect: 100-continue\r\n")],
  ])("%s is answered on time, and its connection closes", async (_name, handler, request) => {
    const server = await serve(handler);
    const connection = await talk(server.port);
    const sent = performance.now();
    connection.send(request);
    const text = await connection.has(/\}$/);
    expect(performance.now() - sent).toBeLessThan(MS + 300);
    expect(text).toMatch(/HTTP\/1\.1 503 .*\r\nConnection: close\r\n/s);
    await connection.ended();
    expect(connection.end).toBe("fin");
    connection.close();
  });

  it("that has come in full, but was not read, leaves the connection open", async () => {
    const server = await serve(never);
    const connection = await talk(server.port);
    connection.send(`${post(5)}hello`);
    expect(await connection.has(/\}$/)).not.toMatch(/Connection: close/);
    connection.send(GET_FINE);
    await connection.has(/fine$/);
    connection.close();
  });

  it("can be read to the end by a client that writes first, and reads then", async () => {
    const server = await serve(never, { message: "too late" });
    const socket = net.connect(server.port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.pause();
    socket.write(post(8_000_000));
    for (let i = 0; i < 8; i++) socket.write(Buffer.alloc(1_000_000));
    await sleep(MS + 20);
    socket.resume();
    await until(() => text.includes("too late"));
    socket.destroy();
  });
});

describe("pipelined requests", () => {
  it("that time out while they wait are answered in their turn", async () => {
    const server = await serve((req, res) => {
      if (req.path === "/first") {
        res.write("begun");
        setTimeout(() => res.end(), MS * 4);
      }
    });
    const connection = await talk(server.port);
    connection.send(GET.replace("/ ", "/first ") + GET + GET + GET_FINE);
    const text = await connection.has(/fine$/);
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual([200, 503, 503, 200].map((status) => `HTTP/1.1 ${status}`));
    connection.close();
    expect(server.records.map(({ status, timedOut }) => [status, timedOut])).toEqual([
      [200, undefined],
      [503, true],
      [503, true],
      [200, undefined],
    ]);
  });

  it("whose client leaves while they wait leave no timer and no answer", async () => {
    let seen = 0;
    const made = watchTimers();
    const server = await serve(() => void seen++, { ms: 5_000 });
    const connection = await talk(server.port);
    connection.send(GET + GET);
    await until(() => seen === 2);
    connection.close();
    await until(() => server.records.length === 2);
    expect(server.records.map(({ status, aborted }) => [status, aborted])).toEqual([
      [499, true],
      [499, true],
    ]);
    expect(made(5_000, 900)).toEqual({ made: 2, left: 0 });
  });
});

it("a client that leaves before the deadline is not answered", async () => {
  const reasons: unknown[] = [];
  const server = await serve(
    (req) => {
      const { signal } = contextOf(req);
      signal.addEventListener("abort", () => reasons.push(signal.reason.name));
    },
    { ms: 40 },
  );
  const connection = await talk(server.port);
  connection.send(GET);
  await sleep(5);
  connection.close();
  await until(() => server.records.length === 1);
  await sleep(50);
  expect(server.records).toMatchObject([{ status: 499, aborted: true }]);
  expect(server.records[0]).not.toHaveProperty("timedOut");
  expect(reasons).toEqual(["AbortError"]);
});

describe("the signal", () => {
  it("aborts at the deadline with a TimeoutError, also if it is asked for later, and once", async () => {
    const seen: unknown[] = [];
    const server = await serve(async (req) => {
      const before = contextOf(req).signal;
      before.addEventListener("abort", () => seen.push("aborted"));
      await until(() => before.aborted);
      seen.push(contextOf(req).signal === before, before.reason.name, before.reason.message);
    });
    await get(server.port);
    await until(() => seen.length === 4);
    expect(seen).toEqual(["aborted", true, "TimeoutError", `the response has not begun within ${MS} ms`]);

    let late: AbortSignal | undefined;
    const other = await serve(async (req) => {
      await sleep(MS + 10);
      late = contextOf(req).signal;
    });
    await get(other.port);
    await until(() => late !== undefined);
    expect(late).toMatchObject({ aborted: true, reason: { name: "TimeoutError" } });
  });

  it("aborts last: what its listeners do is late", async () => {
    const server = await serve((req, res) => {
      contextOf(req).signal.addEventListener("abort", () => {
        expect(res.headersSent).toBe(true);
        res.status(200).send("late");
      });
    });
    expect(await get(server.port)).toMatch(/^HTTP\/1\.1 503/);
  });

  it("never aborts for a request that is answered in time, with a body of its own", async () => {
    const signals: AbortSignal[] = [];
    const server = await serve((req, res) => {
      signals.push(contextOf(req).signal);
      req.resume().on("end", () => res.send("thanks"));
    });
    for (let i = 0; i < 3; i++) {
      await raw(
        server.port,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
      );
    }
    await sleep(MS + 10);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false]);
  });
});

describe("a body that has begun", () => {
  const trickle =
    (everyMs: number, type = "text/plain"): RequestHandler =>
    (_req, res) => {
      res.type(type);
      let count = 0;
      const timer = setInterval(() => {
        if (++count > 6) res.end("end");
        else res.write(`${count} `);
      }, everyMs);
      res.on("close", () => clearInterval(timer));
      res.write("0 ");
    };

  it.each<[string, RequestHandler, Partial<TimeoutOptions>]>([
    ["stands still for idleMs", (_req, res) => void res.write("begun"), { idleMs: 20 }],
    ["stands still after its head", (_req, res) => res.flushHeaders(), { idleMs: 20 }],
    ["has a length", (_req, res) => void res.set("Content-Length", "100").write("begun"), { idleMs: 20 }],
    // Apart from each other: libuv takes a reset for an end if unread data has come with it.
    ["is given slowly, for more than totalMs", trickle(100), { totalMs: 250, idleMs: 5_000 }],
    ["stands still, bounded by totalMs alone", (_req, res) => void res.write("begun"), { totalMs: 40 }],
  ])("and %s is truncated so that the client can see it", async (_name, handler, options) => {
    let signal: AbortSignal | undefined;
    const server = await serve((req, res, next) => {
      signal = contextOf(req).signal;
      handler(req, res, next);
    }, options);
    const connection = await talk(server.port);
    connection.send(GET);
    await connection.ended();
    expect(connection.text).toMatch(/^HTTP\/1\.1 200 /);
    expect(connection.text).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(connection.end).toBe("reset");
    expect(signal).toMatchObject({ aborted: true, reason: { name: "TimeoutError" } });
    await until(() => server.records.length === 1);
    expect(server.records[0]).toMatchObject({ status: 200, timedOut: true });
    expect(server.records[0]).not.toHaveProperty("aborted");
  });

  it.each<[string, RequestHandler, Partial<TimeoutOptions>]>([
    ["is given piece by piece within idleMs", trickle(8), { idleMs: 100 }],
    ["is an event stream", trickle(15, "text/event-stream"), { idleMs: 8, totalMs: 20 }],
    ["ends within totalMs", trickle(4), { totalMs: 2_000 }],
    ["has no bounds", trickle(8), {}],
  ])("and %s is not touched", async (_name, handler, options) => {
    const server = await serve(handler, options);
    const response = await fetch(server.url);
    expect(await response.text()).toBe("0 1 2 3 4 5 6 end");
    expect(server.records).toHaveLength(1);
    expect(server.records[0]).not.toHaveProperty("timedOut");
  });

  it("is truncated when its client stops reading, although the handler writes on", async () => {
    const server = await serve(
      (_req, res) => {
        const timer = setInterval(() => res.write(Buffer.alloc(200_000)), 2);
        res.on("close", () => clearInterval(timer));
      },
      { idleMs: 60 },
    );
    const socket = net.connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(GET);
    socket.pause();
    await until(() => server.records.length === 1);
    expect(server.records[0]).toMatchObject({ timedOut: true });
    socket.destroy();
  });

  it("is truncated when its client stops reading after the handler has ended", async () => {
    const server = await serve((_req, res) => void res.send(Buffer.alloc(30_000_000)), { idleMs: 60 });
    const socket = net.connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(GET);
    socket.pause();
    await until(() => server.records.length === 1);
    expect(server.records[0]).toMatchObject({ status: 200, timedOut: true });
    socket.destroy();
  });

  it("is not truncated while its client reads one large chunk slowly", async () => {
    const size = 24_000_000;
    // The system passes on large steps, so a pause is only known to be shorter than the whole; a busy machine makes it longer.
    const server = await serve((_req, res) => void res.send(Buffer.alloc(size)), { idleMs: 2_500 });
    const started = performance.now();
    const body = await new Promise<number>((resolve, reject) => {
      const take = (response: http.IncomingMessage) => {
        let got = 0;
        response.on("data", (chunk: Buffer) => {
          got += chunk.length;
          response.pause();
          setTimeout(() => response.resume(), 8);
        });
        response.on("end", () => resolve(got));
        response.on("error", reject);
      };
      http.get(server.url, take).on("error", reject);
    });
    expect(body).toBe(size);
    expect(performance.now() - started).toBeGreaterThan(2_500);
    expect(server.records[0]).not.toHaveProperty("timedOut");
  });

  it("that fails after it was truncated is reported once, and does no harm", async () => {
    const errors: unknown[] = [];
    const server = await serve(
      async (_req, res) => {
        res.write("begun");
        await new Promise((resolve) => res.on("close", resolve));
        res.write("late");
        res.end();
        throw new Error("late");
      },
      { idleMs: 20, onLate: (error) => errors.push(error) },
    );
    const { end } = await raw(server.port, GET, 400);
    expect(end).toBe("reset");
    await until(() => errors.length === 1);
    expect(errors).toEqual([new Error("late")]);
    expect(stderr.filter(({ message }) => /late/.test(message))).toEqual([]);
  });

  it("a pipeline into it is closed with it", async () => {
    const source = new Readable({ read() {} });
    source.on("error", () => {});
    source.push("begun");
    const server = await serve(
      (req, res) => {
        source.pipe(res);
        contextOf(req).signal.addEventListener("abort", () => source.destroy());
      },
      { idleMs: 20 },
    );
    expect((await raw(server.port, GET, 400)).end).toBe("reset");
    await until(() => source.destroyed);
  });
});

it("does nothing on an upgraded connection", async () => {
  const app = express();
  app.use(timeout(MS));
  app.use((req, res) => {
    expect(Object.hasOwn(res, "writeHead")).toBe(false);
    req.socket.write("upgraded");
  });
  const server = await listen(app);
  server.server.on("upgrade", (req, socket) => {
    setTimeout(() => socket.destroy(), MS + 50);
    const res = new http.ServerResponse(req);
    res.assignSocket(socket as never);
    app(req as never, res as never);
  });
  const request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  expect(await raw(server.port, request, MS + 50)).toMatchObject({ text: "upgraded" });
});

it("works without Express", async () => {
  const limit = timeout(MS) as unknown as (req: object, res: object, next: () => void) => void;
  const server = await listen((req, res) =>
    limit(req, res, () => setTimeout(() => res.end("late"), MS + 10)),
  );
  expect(await get(server.port)).toMatch(/^HTTP\/1\.1 503/);
  await sleep(20);
});

/** Counts the timers of one duration that are made from now on, and those of them that still run. */
function watchTimers() {
  const timers: [number | undefined, NodeJS.Timeout][] = [];
  const real = globalThis.setTimeout as (run: () => void, ms?: number, ...args: unknown[]) => NodeJS.Timeout;
  jest.spyOn(globalThis, "setTimeout").mockImplementation(((
    run: () => void,
    ms?: number,
    ...args: never[]
  ) => {
    const timer = real(run, ms, ...args);
    timers.push([ms, timer]);
    return timer;
  }) as never);
  // The timer of a deadline is shorter by the time that the handler took before it returned.
  return (ms: number, takenMs = 0) => {
    const ours = timers
      .filter(([duration = 0]) => duration <= ms && duration >= ms - takenMs)
      .map(([, timer]) => timer);
    // biome-ignore lint/suspicious/noExplicitAny: a private field says whether a timer still runs
    return { made: ours.length, left: ours.filter((timer) => !(timer as any)._destroyed).length };
  };
}

describe("timers", () => {
  it("none is left after many requests that end in different ways", async () => {
    const made = watchTimers();
    const limit = timeout({ ms: 8_001, totalMs: 9_002, idleMs: 20_000 }) as unknown as (
      req: http.IncomingMessage,
      res: http.ServerResponse,
      next: () => void,
    ) => void;
    const server = await listen((req, res) =>
      limit(req, res, () => void setImmediate(() => res.end("in time"))),
    );
    const agent = new http.Agent({ keepAlive: true, maxSockets: 50 });
    const count = SOAK ? 10_000 : 300;
    let left = count;
    const one = () =>
      new Promise<void>((resolve, reject) => {
        http.get(server.url, { agent }, (res) => res.resume().on("end", resolve)).on("error", reject);
      });
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        while (left-- > 0) await one();
      }),
    );
    agent.destroy();
    await until(() => made(8_001, 900).left === 0);
    expect(made(8_001, 900)).toEqual({ made: count, left: 0 });
    expect(made(9_002)).toEqual({ made: count, left: 0 });
    expect(made(20_000 / 4)).toEqual({ made: count, left: 0 });
  });

  it("none is made for a handler that has answered when it returns", async () => {
    const made = watchTimers();
    const server = await listen(express().use(timeout(5_003), (_req, res) => void res.json("at once")));
    const answer = await raw(server.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(answer.text).toMatch(/^HTTP\/1\.1 200/);
    expect(made(5_003, 900)).toEqual({ made: 0, left: 0 });
  });

  it("the time in which a handler blocks counts", async () => {
    const made = watchTimers();
    const server = await listen(
      express().use(timeout(5_004), () => {
        const startedMs = performance.now();
        while (performance.now() - startedMs < 5);
      }),
    );
    const asked = raw(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 100);
    await until(() => made(5_003, 900).made === 1);
    expect(made(5_004).made).toBe(0);
    await asked;
  });

  it("is made too if the next handler throws", async () => {
    const limit = timeout(MS) as unknown as (req: object, res: object, next: () => void) => void;
    const thrown = new Error("nobody handles it");
    let caught: unknown;
    const server = await listen((req, res) => {
      try {
        limit(req, res, () => {
          throw thrown;
        });
      } catch (error) {
        caught = error;
      }
    });
    expect(await get(server.port)).toMatch(/^HTTP\/1\.1 503/);
    expect(caught).toBe(thrown);
  });

  it("do not keep the process alive", async () => {
    let seen = false;
    const server = await serve(
      () => {
        seen = true;
      },
      { ms: 5_000, totalMs: 6_000 },
    );
    const count = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = count();
    const connection = await talk(server.port);
    connection.send(GET);
    await until(() => seen);
    for (let i = 0; i < 100 && count() !== before; i++) await sleep(10); // others' short timers end
    expect(count()).toBe(before);
    connection.close();
  });
});
