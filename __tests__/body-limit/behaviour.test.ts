import { once } from "node:events";
import http from "node:http";
import { Readable } from "node:stream";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import {
  authenticate,
  bearer,
  bodyLimit,
  compress,
  contextOf,
  cors,
  currentContext,
  recover,
  requestContext,
  requestLog,
  timeout,
} from "../../src/index.js";
import { serve } from "../../src/serve/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { sleep, talk, watchProcess, watchStderr } from "../timeout/support.js";

watchProcess();
const stderr = watchStderr();
const running: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((close) => close()));
  await closeServers();
});

const chunk = (data: string) => `${data.length.toString(16)}\r\n${data}\r\n`;
const CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const LONG = CHUNKED + chunk("x".repeat(50));
const statuses = (text: string) => text.match(/HTTP\/1\.1 \d+/g)?.map((line) => Number(line.slice(9)));

/** Reads the whole body, and answers with its length. */
const readAll: RequestHandler = async (req, res) => {
  let bytes = 0;
  for await (const part of req) bytes += part.length;
  res.send(`read ${bytes}`);
};

describe.each(expressVersions)("%s", (_version, from) => {
  function appOf(...handlers: RequestHandler[]) {
    const app = from();
    app.get("/fine", (_req, res) => void res.send("fine"));
    app.use(...handlers);
    return app;
  }
  /** Express 4 does not see a rejected promise. */
  const caught =
    (handler: RequestHandler): RequestHandler =>
    (req, res, next) =>
      void Promise.resolve(handler(req, res, next)).catch(next);

  it("the limit itself passes, one byte more does not; a chunk's frame does not count", async () => {
    const { port } = await listen(appOf(bodyLimit(10), caught(readAll)));
    const send = (body: string) => raw(port, `${CHUNKED}${body}`, 300);
    expect((await send(`${chunk("x".repeat(10))}0\r\n\r\n`)).text).toContain("read 10");
    expect((await send(`${chunk("xxxxx").repeat(2)}0\r\n\r\n`)).text).toContain("read 10");
    expect(statuses((await send(`${chunk("xxxxx").repeat(2)}${chunk("x")}`)).text)).toEqual([413]);
    expect(
      statuses((await raw(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")).text),
    ).toEqual([413]);
  });

  it("requests without a body are not touched", async () => {
    const { port } = await listen(
      appOf(bodyLimit({ limit: 1, timeMs: 1 }), async (req, res) => {
        const own = Object.hasOwn(req, "push") || Object.hasOwn(res, "writeHead");
        await sleep(20);
        res.send(`own: ${own}`);
      }),
    );
    for (const head of ["GET / HTTP/1.1", "POST / HTTP/1.1\r\nContent-Length: 0"]) {
      const { text } = await raw(port, `${head}\r\nHost: a\r\n\r\n`);
      expect(text).toMatch(/ 200 .*own: false/s);
    }
  });

  it.each([
    ["before the body", 0],
    ["when a part of the body is in the buffer", 50],
  ])("nobody reads: the response stands (bodyLimit runs %s)", async (_when, buffered) => {
    const wait: RequestHandler = (req, _res, next) =>
      void until(() => req.readableLength === buffered).then(() => next(), next);
    let began = false;
    const rest = chunk("x".repeat(50)).repeat(3);
    const { port } = await listen(
      appOf(wait, bodyLimit(100), async (req, res) => {
        const before = req.socket.bytesRead;
        began = true;
        await until(() => req.socket.bytesRead === before + rest.length);
        res.send("not read");
      }),
    );
    const connection = await talk(port);
    connection.send(CHUNKED + (buffered > 0 ? chunk("x".repeat(buffered)) : ""));
    await until(() => began);
    connection.send(rest);
    await connection.has(/not read/);
    connection.send(chunk("x".repeat(50)));
    await connection.ended();
    expect(connection.text).toMatch(/^HTTP\/1\.1 200 /);
    expect(connection.text).toMatch(/\r\nConnection: close\r\n/);
    expect(connection.end).toBe("fin");
  });

  it("a body that came while earlier middleware waited is refused at once", async () => {
    let handled = 0;
    const { port } = await listen(
      appOf(
        (_req, _res, next) => void setTimeout(next, 30),
        bodyLimit(10),
        (_req, res) => void res.send(`handled ${++handled}`),
      ),
    );
    for (const end of ["", "0\r\n\r\n"]) {
      const { text } = await raw(port, LONG + end, 300);
      expect(statuses(text)).toEqual([413]);
    }
    expect(handled).toBe(0);
  });

  it("somebody reads late: the refusal comes then", async () => {
    const { port } = await listen(
      appOf(
        bodyLimit(10),
        caught(async (req, res, next) => {
          await sleep(30);
          return readAll(req, res, next);
        }),
      ),
    );
    for (const end of ["", "0\r\n\r\n"]) {
      const { text, end: how } = await raw(port, LONG + end, 1_000);
      expect(statuses(text)).toEqual([413]);
      expect(how).toBe("fin");
    }
  });

  it("after the head was sent, the response is truncated, and the reader gets the error", async () => {
    const errors: unknown[] = [];
    const { entries, ...logger } = memoryLogger();
    const { port } = await listen(
      appOf(requestLog({ logger }), bodyLimit(10), (req, res) => {
        res.write("begun");
        req.on("data", () => {});
        req.on("error", (error) => {
          errors.push(error);
          res.end("late");
        });
      }),
    );
    const connection = await talk(port);
    connection.send(CHUNKED);
    await connection.has(/begun/);
    connection.send(chunk("x".repeat(50)));
    await connection.ended();
    expect(connection.end).toBe("reset");
    expect(connection.text).not.toContain("late");
    expect(errors).toEqual([expect.objectContaining({ status: 413, type: "entity.too.large", limit: 10 })]);
    await until(() => entries.length === 1);
    expect(entries[0]!.fields).toMatchObject({ status: 200, refused: { by: "bodyLimit", reason: "size" } });
  });

  it("after the whole response the reader gets the error, and the connection ends", async () => {
    const errors: unknown[] = [];
    const { port } = await listen(
      appOf(bodyLimit(10), (req, res) => {
        req.on("data", () => {}).on("error", (error) => errors.push(error));
        res.status(202).send("accepted");
      }),
    );
    const connection = await talk(port);
    connection.send(CHUNKED);
    await connection.has(/accepted/);
    connection.send(chunk("x".repeat(50)));
    await connection.ended();
    expect(connection.end).toBe("fin");
    expect(errors).toEqual([expect.objectContaining({ status: 413 })]);
  });

  it("a head that was written and not sent is taken back", async () => {
    const { port } = await listen(
      appOf(cors(), bodyLimit(10), compress(), (req, res) => {
        res.setHeader("X-Own", "1");
        res.writeHead(201, { "Content-Type": "text/plain" });
        req.resume();
      }),
    );
    const { text } = await raw(port, LONG, 300);
    expect(statuses(text)).toEqual([413]);
    expect(text).toMatch(/access-control-allow-origin: \*/i);
    expect(text).not.toMatch(/x-own/i);
  });

  it("what the handler still does changes nothing, and its other errors are warnings", async () => {
    const { entries, ...logger } = memoryLogger();
    const late: string[] = [];
    const { port } = await listen(
      appOf(requestContext({ check: false }), bodyLimit(10), (req, res, next) => {
        req.on("data", () => {});
        req.on("error", () => {
          res.status(500).set("X-Late", "1").json({ late: true });
          res.write("more", (fault) => late.push((fault as NodeJS.ErrnoException).code ?? ""));
          Readable.from(["a"]).pipe(res);
          next(new Error("of another kind"));
          late.push("done");
        });
      }).use(recover({ logger })),
    );
    const { text } = await raw(port, LONG, 1_000);
    expect(statuses(text)).toEqual([413]);
    expect(text).not.toMatch(/late/i);
    await until(() => late.length === 2);
    expect(late).toEqual(["done", "ERR_STREAM_WRITE_AFTER_END"]);
    expect(entries.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      expect.stringMatching(/^warn: .*after its body was refused.*of another kind/),
    ]);
  });

  it("recover's onError hears at most once, and its answer is not sent", async () => {
    const heard: unknown[] = [];
    const { port } = await listen(
      appOf(bodyLimit(10), express.json(), caught(readAll)).use(
        recover({ onError: (error) => heard.push(error) }),
      ),
    );
    const { text } = await raw(port, LONG, 300);
    expect(statuses(text)).toEqual([413]);
    expect(heard.length).toBeLessThanOrEqual(1);
  });

  it("without an error handler the answer is not lost, and nothing is written to standard error", async () => {
    const { port } = await listen(appOf(bodyLimit(10), express.raw({ type: () => true }), caught(readAll)));
    const connection = await talk(port);
    connection.send(LONG);
    await connection.has(/The body may have at most 10 bytes/);
    await sleep(50);
    connection.send(chunk("x".repeat(50)));
    await connection.ended();
    expect(connection.end).toBe("fin");
    expect(stderr).toEqual([]);
  });

  it("a body that takes too long is a 408, with a length and without, trickling and stalling", async () => {
    const { entries, ...logger } = memoryLogger();
    const errors: unknown[] = [];
    const { port } = await listen(
      appOf(cors(), requestLog({ logger }), bodyLimit({ limit: 1_000, timeMs: 100 }), caught(readAll)).use(((
        error,
        _req,
        _res,
        next,
      ) => {
        errors.push(error);
        next(error);
      }) as ErrorRequestHandler),
    );
    for (const head of [CHUNKED, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"]) {
      for (const trickles of [true, false]) {
        const connection = await talk(port);
        connection.send(head);
        const timer = setInterval(() => {
          if (trickles) connection.send(head === CHUNKED ? chunk("x") : "x");
        }, 10);
        await connection.has(/did not come in time/);
        clearInterval(timer);
        await connection.ended();
        expect(connection.text).toMatch(/^HTTP\/1\.1 408 /);
        expect(connection.text).toMatch(/access-control-allow-origin: \*/i);
        expect(connection.text).toMatch(/\r\nConnection: close\r\n/);
        expect(connection.end).toBe("fin");
      }
    }
    await until(() => errors.length === 4 && entries.length === 4);
    for (const error of errors) expect(error).toMatchObject({ status: 408, type: "request.timeout" });
    for (const { fields } of entries)
      expect(fields).toMatchObject({ status: 408, refused: { by: "bodyLimit", reason: "time" } });
  });

  it("a body in time starts no 408, and the connection goes on", async () => {
    const { port } = await listen(appOf(bodyLimit({ limit: 100, timeMs: 60 }), caught(readAll)));
    const connection = await talk(port);
    connection.send(`${LONG}0\r\n\r\n`);
    await connection.has(/read 50/);
    await sleep(120);
    connection.send(`${LONG}0\r\n\r\n`);
    await connection.has(/read 50.*read 50/s);
    connection.close();
  });

  it("too slow, and read only later: the 408 comes then; never read: the response stands", async () => {
    const { port } = await listen(
      appOf(
        bodyLimit({ limit: 1_000, timeMs: 20 }),
        caught(async (req, res, next) => {
          await sleep(60);
          if (req.path === "/read") return readAll(req, res, next);
          res.send("not read");
        }),
      ),
    );
    const head = (path: string) => CHUNKED.replace("/", path) + chunk("x");
    expect((await raw(port, head("/read"), 1_000)).text).toMatch(/^HTTP\/1\.1 408 /);
    expect((await raw(port, head("/not"), 1_000)).text).toMatch(/^HTTP\/1\.1 200 .*not read/s);
  });

  it.each<[number, number, number, number]>([
    [20, 100, 60, 413],
    [100, 20, 60, 413],
    [100, 20, 15, 200],
    [20, 100, 15, 200],
    [20, 20, 21, 413],
  ])("of an outer limit %d and an inner %d the smaller counts: %d bytes are %d", async (outer, inner, bytes, status) => {
    const { port } = await listen(appOf(bodyLimit(outer), bodyLimit(inner), caught(readAll)));
    const body = "x".repeat(bytes);
    const smaller = Math.min(outer, inner);
    for (const request of [
      `${CHUNKED}${chunk(body)}0\r\n\r\n`,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n${body}`,
    ]) {
      const { text } = await raw(port, request, 300);
      expect(statuses(text)).toEqual([status]);
      if (status === 413) expect(text).toContain(`at most ${smaller} bytes`);
    }
  });

  it("of two times the shorter counts", async () => {
    const limits = [bodyLimit({ limit: 100, timeMs: 10_000 }), bodyLimit({ limit: 100, timeMs: 30 })];
    for (const order of [limits, limits.toReversed()]) {
      const { port } = await listen(appOf(...order, caught(readAll)));
      expect((await raw(port, CHUNKED, 1_000)).text).toMatch(/^HTTP\/1\.1 408 /);
    }
  });

  it("beside timeout there is one answer, whichever comes first", async () => {
    const read: RequestHandler = caught(readAll);
    const both = await listen(appOf(timeout(50), bodyLimit(10), read));
    expect(statuses((await raw(both.port, CHUNKED + chunk("x"), 1_000)).text)).toEqual([503]);
    expect(statuses((await raw(both.port, LONG, 1_000)).text)).toEqual([413]);
    const inner = await listen(appOf(bodyLimit({ limit: 10, timeMs: 50 }), timeout(10_000), read));
    expect(statuses((await raw(inner.port, CHUNKED + chunk("x"), 1_000)).text)).toEqual([408]);
    // The body goes on after the 503: its reader gets an error, and the answer stands.
    const errors: unknown[] = [];
    const late = await listen(
      appOf(timeout(30), bodyLimit(10), (req) => {
        req.on("data", () => {}).on("error", (error) => errors.push(error));
      }),
    );
    const connection = await talk(late.port);
    connection.send(CHUNKED);
    await connection.has(/503/);
    connection.send(chunk("x".repeat(50)));
    await until(() => errors.length > 0);
    await connection.ended();
    expect(errors).toHaveLength(1);
    expect(statuses(connection.text)).toEqual([503]);
  });

  it("an answer that render writes later is not replaced by timeout", async () => {
    const { port } = await listen(
      appOf(
        requestContext({
          check: false,
          render: async ({ status, detail }, _req, res) => {
            await sleep(60);
            res.type("text").send(`mine ${status} ${detail} ${currentContext()?.id === contextOf(_req).id}`);
          },
        }),
        timeout(30),
        bodyLimit(10),
        caught(readAll),
      ),
    );
    const { text } = await raw(port, LONG, 1_000);
    expect(text).toMatch(/^HTTP\/1\.1 413 .*mine 413 The body may have at most 10 bytes\. true$/s);
  });

  it("the signal aborts with the error, after the reader has seen it", async () => {
    const seen: string[] = [];
    const { port } = await listen(
      appOf(requestContext({ check: false }), bodyLimit(10), (req) => {
        const { signal } = contextOf(req);
        signal.addEventListener("abort", () => seen.push(`abort ${signal.reason.status}`));
        req
          .on("data", () => {})
          .on("error", (error) => seen.push(`error ${(error as { status?: number }).status}`));
      }),
    );
    await raw(port, LONG, 300);
    expect(seen).toEqual(["error 413", "abort 413"]);
  });

  it("a client that leaves is no refusal", async () => {
    const { entries, ...logger } = memoryLogger();
    const errors: unknown[] = [];
    const timeMs = 700;
    let pieces = 0;
    const { port } = await listen(
      appOf(requestLog({ logger }), bodyLimit({ limit: 100, timeMs }), (req) => {
        req.on("data", () => void pieces++).on("error", (error) => errors.push(error));
      }),
    );
    const connection = await talk(port);
    connection.send(CHUNKED + chunk("x"));
    await until(() => pieces === 1);
    connection.close();
    await until(() => entries.length === 1);
    await sleep(timeMs + 50); // no timer is left that would refuse it now
    expect(entries[0]!.fields).toMatchObject({ status: 499, aborted: true });
    expect(entries[0]!.fields.refused).toBeUndefined();
    expect(errors).toEqual([expect.objectContaining({ code: "ECONNRESET" })]);
  });

  it("a request that was sent right behind a refused one is not handled", async () => {
    const { port } = await listen(appOf(requestContext({ check: false }), bodyLimit(10), caught(readAll)));
    const next = "GET /fine HTTP/1.1\r\nHost: a\r\n\r\n";
    for (const first of [
      `${LONG}0\r\n\r\n`,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n${"x".repeat(20)}`,
    ]) {
      const { text, end } = await raw(port, first + next, 1_000);
      expect(statuses(text)).toEqual([413]);
      expect(end).toBe("fin");
    }
  });

  it("an upgrade has no body", async () => {
    const app = appOf(bodyLimit({ limit: 10, timeMs: 20 }), (_req, res) => void res.send("no upgrade"));
    const { port, server } = await listen(app);
    server.on("upgrade", (_req, socket) => {
      running.push(() => socket.destroy());
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
      socket.on("data", (data: Buffer) => void socket.write(data));
    });
    const connection = await talk(port);
    connection.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    await connection.has(/101/);
    connection.send("y".repeat(50));
    await connection.has(/y{50}/);
    connection.close();
  });

  it("200 MB to a limit of 1 MB: the memory stays flat", async () => {
    const { port } = await listen(appOf(bodyLimit("1mb"), caught(readAll)));
    const before = process.memoryUsage();
    const request = http.request({ port, method: "POST", agent: false });
    request.on("error", () => {});
    const response = once(request, "response") as Promise<[http.IncomingMessage]>;
    const part = Buffer.alloc(1_000_000, "x");
    let most = 0;
    for (let i = 0; i < 200 && !request.destroyed; i++) {
      const isFull = !request.write(part);
      if (isFull) await Promise.race([once(request, "drain"), once(request, "close"), sleep(1_000)]);
      const now = process.memoryUsage();
      most = Math.max(most, now.arrayBuffers - before.arrayBuffers);
    }
    const [answer] = await response;
    expect(answer.statusCode).toBe(413);
    answer.resume();
    request.destroy();
    expect(most).toBeLessThan(30_000_000);
  });
});

describe("Expect: 100-continue, under serve", () => {
  const head = (more: string) => `POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n${more}\r\n\r\n`;

  async function start(...handlers: RequestHandler[]) {
    const app = express();
    app.use(...handlers);
    const served = await serve(app, { port: 0, host: "127.0.0.1", signals: false });
    running.push(served.close);
    return Number(new URL(served.url).port);
  }

  it.each<[string, RequestHandler, string, number]>([
    ["a declared length over the limit", bodyLimit(10), "Content-Length: 20", 413],
    [
      "missing credentials",
      authenticate(bearer({ verify: () => false })),
      "Content-Length: 5\r\nAuthorization: Bearer x",
      401,
    ],
    [
      "a handler that does not read",
      (_req, res) => void res.status(422).send("no"),
      "Content-Length: 5",
      422,
    ],
  ])("%s: the body is not asked for, and the connection closes", async (_name, handler, more, status) => {
    const port = await start(handler, readAll);
    const { text, end } = await raw(port, head(more), 1_000);
    expect(statuses(text)).toEqual([status]);
    expect(text).toMatch(/\r\nConnection: close\r\n/i);
    expect(end).toBe("fin");
  });

  it.each([
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
  ])("a body that is read is asked for once (%s)", async (more) => {
    const port = await start(bodyLimit(10), (_req, _res, next) => void setTimeout(next, 20), readAll);
    const connection = await talk(port);
    for (let i = 0; i < 2; i++) {
      connection.send(head(more));
      await connection.has(new RegExp(`(?:100 Continue\\r\\n\\r\\n.*){${i + 1}}$`, "s"));
      connection.send(more.startsWith("C") ? "xxxxx" : `${chunk("xxxxx")}0\r\n\r\n`);
      await connection.has(new RegExp(`(?:read 5.*){${i + 1}}$`, "s"));
    }
    expect(statuses(connection.text)).toEqual([100, 200, 100, 200]);
    connection.close();
  });

  it("a chunked body over the limit is refused when it comes", async () => {
    const port = await start(bodyLimit(10), express.raw({ type: () => true }), readAll);
    const connection = await talk(port);
    connection.send(head("Transfer-Encoding: chunked"));
    await connection.has(/100 Continue/);
    connection.send(chunk("x".repeat(50)));
    await connection.has(/at most 10 bytes/);
    await connection.ended();
    expect(statuses(connection.text)).toEqual([100, 413]);
  });

  it("a request without a body keeps its connection", async () => {
    const port = await start((_req, res) => void res.send("fine"));
    const connection = await talk(port);
    for (let i = 1; i < 3; i++) {
      connection.send(head("Content-Length: 0"));
      await connection.has(new RegExp(`(?:fine.*){${i}}`, "s"));
    }
    connection.close();
  });

  it("a listener of the program decides in its place", async () => {
    const app = express();
    app.use(readAll);
    const served = await serve(app, { port: 0, host: "127.0.0.1", signals: false });
    running.push(served.close);
    served.server.on("checkContinue", (_req: unknown, res: http.ServerResponse) => {
      res.writeHead(417, { Connection: "close" }).end();
    });
    const { text } = await raw(Number(new URL(served.url).port), head("Content-Length: 5"), 500);
    expect(statuses(text)).toEqual([417]);
  });
});
