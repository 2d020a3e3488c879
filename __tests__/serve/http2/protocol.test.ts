import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished, pipeline, Writable } from "node:stream";
import { promisify } from "node:util";
import express, { type Express, type RequestHandler } from "express";
import { requestContext } from "../../../src/context/index.js";
import { recover } from "../../../src/recover/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { bridgeHttp2 } from "../../../src/serve/http2/bridge.js";
import { type Ask, ask, closeHttp2, connectHttp2, listenHttp2 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { buildFile } from "../../support/program.js";
import { until } from "../../support/server.js";
import { inSoak } from "../../support/soak.js";

beforeEach(() => void jest.spyOn(console, "error").mockImplementation(() => {}));
afterEach(async () => {
  jest.restoreAllMocks();
  await closeHttp2();
});

const onFinished: {
  (message: object, listener: (error: unknown) => void): void;
  isFinished(message: object): boolean | undefined;
} = require("on-finished");

async function start(app: unknown): Promise<http2.ClientHttp2Session> {
  bridgeHttp2(app);
  const { url } = await listenHttp2(app, { tls: false });
  return connectHttp2(url);
}

/** A handler for one request. */
async function answerOf(handler: RequestHandler, question: Ask = {}) {
  const app = express().disable("x-powered-by").disable("etag").use(handler);
  return ask(await start(app), "/", question);
}

/** A frame of HTTP/2. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream]), payload]);
}

const FORBIDDEN = {
  Connection: "close",
  "Keep-Alive": "timeout=5",
  "Transfer-Encoding": "chunked",
  Upgrade: "h2c",
  "Proxy-Connection": "keep-alive",
  "HTTP2-Settings": "x",
  TE: "gzip",
};

describe("headers about the connection", () => {
  const entries = Object.entries(FORBIDDEN);
  const ways: Record<string, RequestHandler> = {
    setHeader: (_req, res) => {
      for (const [name, value] of entries) res.setHeader(name, value).setHeader(name, [value]);
      res.setHeader("X-Kept", "1").end("ok");
    },
    appendHeader: (_req, res) => {
      for (const [name, value] of entries) res.appendHeader(name, value).appendHeader(name, [value, value]);
      res.appendHeader("X-Kept", "1").end("ok");
    },
    setHeaders: (_req, res) => {
      res.setHeaders(new Map([...entries, ["X-Kept", "1"]])).end("ok");
    },
    "writeHead with an object": (_req, res) =>
      void res.writeHead(200, { ...FORBIDDEN, "X-Kept": "1" }).end("ok"),
    "writeHead with a reason and an object": (_req, res) => {
      res.writeHead(200, "Fine", { ...FORBIDDEN, "X-Kept": "1" }).end("ok");
    },
    "writeHead with a list": (_req, res) => {
      res.writeHead(200, [...entries.flat(), "X-Kept", "1"]).end("ok");
    },
    "writeHead with pairs": (_req, res) => {
      res.writeHead(200, [...entries, ["X-Kept", "1"]] as never).end("ok");
    },
    "res.set": (_req, res) => void res.set({ ...FORBIDDEN, "X-Kept": "1" }).send("ok"),
    "res.append": (_req, res) => {
      for (const [name, value] of entries) res.append(name, value);
      res.append("X-Kept", "1").send("ok");
    },
    "an early hint": (_req, res) => {
      res.writeEarlyHints({ link: "</a>; rel=preload", ...FORBIDDEN });
      res.set("X-Kept", "1").send("ok");
    },
    "a trailer": (_req, res) => {
      res.set("X-Kept", "1").write("o");
      res.addTrailers(FORBIDDEN);
      res.end("k");
    },
  };
  it.each(Object.entries(ways))("%s: they are dropped, and nothing fails", async (_name, handler) => {
    const { status, headers, body, isWhole } = await answerOf(handler);
    expect({ status, body, isWhole }).toEqual({ status: 200, body: "ok", isWhole: true });
    expect(headers["x-kept"]).toBe("1");
    expect(Object.keys(headers)).not.toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^(?:te|.*connection|keep-alive|transfer.*|upgrade|http2.*)$/),
      ]),
    );
  });

  it("are dropped too if they were set before the app had the response", async () => {
    const app = express().use((_req, res) => void res.send("ok"));
    bridgeHttp2(app);
    const { url } = await listenHttp2(
      (req: never, res: { setHeader(name: string, value: string): void }) => {
        res.setHeader("Keep-Alive", "timeout=5");
        app(req, res as never);
      },
      { tls: false },
    );
    const { status, headers } = await ask(connectHttp2(url), "/");
    expect(status).toBe(200);
    expect(headers).not.toHaveProperty("keep-alive");
  });

  it("TE: trailers is allowed", async () => {
    const { headers } = await answerOf((_req, res) => void res.set("TE", "trailers").end());
    expect(headers.te).toBe("trailers");
  });
});

inSoak(() =>
  describe("warnings of the process", () => {
    const run = promisify(execFile);
    const folder = mkdtempSync(join(tmpdir(), "portico-warnings-"));
    const program = join(folder, "warnings.cjs");
    beforeAll(() => buildFile(join(__dirname, "warnings.ts"), program));
    afterAll(() => rmSync(folder, { recursive: true }));
    it.each([
      ["bare", /UnsupportedWarning/],
      ["bridged", /^$/],
    ])("%s", async (kind, warned) => {
      const { stdout, stderr } = await run(process.execPath, [program, kind]);
      expect(stdout).toBe("Other");
      expect(stderr).toMatch(warned);
    });
  }),
);

describe("the response", () => {
  it("keeps a status message to itself", async () => {
    const seen: unknown[] = [];
    const { status } = await answerOf((_req, res) => {
      seen.push(res.statusMessage);
      res.statusMessage = "Mine";
      seen.push(res.statusMessage);
      res.writeHead(201, "Other");
      seen.push(res.statusMessage);
      res.end();
    });
    expect(status).toBe(201);
    expect(seen).toEqual([undefined, "Mine", "Other"]);
  });

  it("has the status message of its code after the head", async () => {
    let seen: unknown;
    await answerOf((_req, res) => {
      res.status(404).end();
      seen = res.statusMessage;
    });
    expect(seen).toBe("Not Found");
  });

  it("sends several values where HTTP/2 allows one line", async () => {
    const { status, headers } = await answerOf((_req, res) => {
      res.append("Content-Encoding", "identity").append("Content-Encoding", "identity");
      res.append("Set-Cookie", "a=1").append("Set-Cookie", "b=2").end("ok");
    });
    expect(status).toBe(200);
    expect(headers["content-encoding"]).toBe("identity, identity");
    expect(headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  });

  it.each<[string, unknown]>([
    ["setHeader", (res: express.Response) => res.setHeader("a", "b")],
    ["appendHeader", (res: express.Response) => res.appendHeader("a", "b")],
    ["setHeaders", (res: express.Response) => res.setHeaders(new Map([["a", "b"]]))],
    ["removeHeader", (res: express.Response) => res.removeHeader("a")],
    ["writeHead", (res: express.Response) => res.writeHead(200)],
  ])("%s after the head fails with HTTP/1.1's code", async (_name, late) => {
    let code: unknown;
    const { isWhole } = await answerOf((_req, res) => {
      res.write("x");
      try {
        (late as (res: express.Response) => void)(res);
      } catch (error) {
        ({ code } = error as { code: string });
      }
      res.end();
    });
    expect(code).toBe("ERR_HTTP_HEADERS_SENT");
    expect(isWhole).toBe(true);
  });

  it("accepts Headers with several cookies, and refuses anything but Headers and Maps", async () => {
    const fields = new Headers({ "x-a": "1" });
    fields.append("set-cookie", "a=1");
    fields.append("set-cookie", "b=2");
    let refused: unknown;
    const { headers, body } = await answerOf((_req, res) => {
      try {
        res.setHeaders([["a", "b"]] as never);
      } catch (error) {
        refused = error;
      }
      res
        .setHeaders(fields)
        .end(JSON.stringify((res as never as { getRawHeaderNames(): string[] }).getRawHeaderNames()));
    });
    expect(headers).toMatchObject({ "x-a": "1", "set-cookie": ["a=1", "b=2"] });
    expect(JSON.parse(body)).toEqual(["x-a", "set-cookie"]);
    expect(refused).toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
  });

  it("calls back for interim responses", async () => {
    const calls: string[] = [];
    const { interim, body } = await answerOf((_req, res) => {
      res.writeContinue(() => calls.push("continue"));
      res.writeProcessing(() => calls.push("processing"));
      res.writeEarlyHints({ link: "</a>; rel=preload" }, () => {
        calls.push("hints");
        res.end("ok");
      });
    });
    expect(calls).toEqual(["continue", "processing", "hints"]);
    expect(interim).toHaveLength(3);
    expect(body).toBe("ok");
  });

  it("answers Expect: 100-continue, and then reads the body", async () => {
    const app = express().use(express.text(), (req, res) => void res.send(req.body));
    const session = await start(app);
    const { body } = await ask(session, "/", {
      method: "POST",
      body: "text",
      headers: { expect: "100-continue", "content-type": "text/plain" },
    });
    expect(body).toBe("text");
  });

  it.each(["GET", "HEAD"])("calls the callbacks of all writes to %s, and finishes once", async (method) => {
    const calls: unknown[] = [];
    const { isWhole } = await answerOf(
      (_req, res) => {
        res.on("finish", () => calls.push("finish"));
        res.on("close", () => calls.push("close", res.closed, res.destroyed, res.writableFinished));
        expect([res.closed, res.destroyed, res.writableNeedDrain]).toEqual([false, false, false]);
        const isReady = res.write("a", (error) => calls.push(error ?? "write"));
        expect(isReady).toBe(true);
        res.end("b", "utf8", () => calls.push("end"));
      },
      { method },
    );
    expect(isWhole).toBe(true);
    await until(() => calls.includes("close"));
    expect(calls.sort()).toEqual(["write", "end", "finish", "close", true, true, true].sort());
  });

  it.each(["GET", "HEAD"])("is not finished for on-finished before %s is answered", async (method) => {
    const seen: unknown[] = [];
    const look = (req: express.Request, res: express.Response) =>
      seen.push([onFinished.isFinished(res), res.socket?.writable, req.socket === res.socket]);
    await answerOf(
      (req, res) => {
        look(req, res);
        onFinished(res, (error) => seen.push([error, res.writableEnded]));
        setImmediate(() => {
          look(req, res);
          res.end("x");
        });
      },
      { method },
    );
    await until(() => seen.length === 3);
    expect(seen).toEqual([
      [false, true, true],
      [false, true, true],
      [null, true],
    ]);
  });

  it("is finished for stream.finished and pipeline", async () => {
    const ends: unknown[] = [];
    await answerOf((_req, res) => {
      finished(res, (error) => ends.push(error?.code ?? "fine"));
      res.end("x");
    });
    await until(() => ends.length > 0);
    expect(ends).toEqual(["fine"]);
  });

  it("has the methods that return it", async () => {
    let same: unknown[] = [];
    await answerOf((req, res) => {
      same = [
        res.setHeader("a", "b"),
        res.appendHeader("c", "d"),
        res.setTimeout(1000),
        res.writeHead(200),
        res.end(),
      ].map((value) => value === res);
      same.push(req.setTimeout(1000) === req);
    });
    expect(same).toEqual([true, true, true, true, true, true]);
  });
});

describe("an early end", () => {
  const cuts: Record<string, RequestHandler> = {
    "a throw": (_req, res) => {
      res.write("part");
      throw new Error("half-way");
    },
    "a rejection": async (_req, res) => {
      res.set("Content-Length", "100").write("part");
      await new Promise((resolve) => setTimeout(resolve, 2));
      throw new Error("half-way");
    },
    "res.destroy()": (_req, res) => {
      res.write("part");
      setTimeout(() => res.destroy(), 2);
    },
    "req.socket.destroy()": (req, res) => {
      res.write("part");
      setTimeout(() => req.socket.destroy(), 2);
    },
    "req.destroy()": (req, res) => {
      res.write("part");
      setTimeout(() => req.destroy(), 2);
    },
    "res.destroy() before the head": (_req, res) => void res.destroy(),
    "req.destroy() before the head": (req) => void req.destroy(),
    "a failed pipeline": (_req, res) => {
      const source = async function* () {
        yield "part";
        throw new Error("source");
      };
      pipeline(source, res, () => {});
    },
  };
  it.each(
    Object.entries(cuts),
  )("by %s is seen by the client, and other streams continue", async (_name, handler) => {
    const app = express();
    app.get("/truncate", handler);
    let finish = () => {};
    app.get("/other", (_req, res) => {
      res.write("one ");
      finish = () => void res.end("two");
    });
    const session = await start(app);
    const other = ask(session, "/other");
    const broken = await ask(session, "/truncate");
    expect(broken).toMatchObject({ isWhole: false, reset: 2 });
    finish();
    expect(await other).toMatchObject({ isWhole: true, body: "one two" });
  });

  it.each<[string, Express]>([
    ["Express's own handler", express()],
    ["recover", express()],
  ])("with %s an error becomes one answer, and other streams finish", async (name, app) => {
    const goaways: unknown[] = [];
    app.get("/fail", () => {
      throw new Error("boom");
    });
    let finish = () => {};
    app.get("/other", (_req, res) => {
      res.write("one ");
      finish = () => void res.end("two");
    });
    const isOurs = name === "recover";
    if (isOurs) app.use(recover({ logger: memoryLogger() }));
    const session = await start(app);
    session.on("goaway", (code, last) => goaways.push([code, last]));
    const other = ask(session, "/other");
    expect(await ask(session, "/fail")).toMatchObject({ status: 500, isWhole: true });
    finish();
    expect(await other).toMatchObject({ isWhole: true, body: "one two" });
    if (isOurs) await until(() => session.closed || session.destroyed);
    expect(goaways).toEqual(isOurs ? [[0, 3]] : []);
  });

  it.each([
    "an error page of Express",
    "recover",
  ])("of a handler that throws after it set every forbidden header: %s", async (name) => {
    const app = express().use((_req, res) => {
      res.set(FORBIDDEN);
      throw new Error("boom");
    });
    if (name === "recover") app.use(recover({ logger: memoryLogger() }));
    expect(await ask(await start(app), "/")).toMatchObject({ status: 500, isWhole: true });
  });

  it("by a throw after the head: recover truncates the response, and logs it", async () => {
    const logger = memoryLogger();
    const lines: string[] = [];
    const app = express().use(
      requestContext(),
      requestLog({ format: "json", stream: { write: (line) => void lines.push(line) } }),
    );
    app.use(async (_req, res) => {
      res.write("part");
      await new Promise((resolve) => setTimeout(resolve, 2));
      throw new Error("half-way");
    });
    app.use(recover({ logger }));
    expect(await ask(await start(app), "/")).toMatchObject({ isWhole: false, reset: 2 });
    await until(() => lines.length > 0);
    expect(logger.entries.map(({ message }) => message)).toEqual([
      "request failed after its response had begun; the response was truncated: GET /: half-way",
    ]);
    expect(JSON.parse(lines[0]!)).toMatchObject({ status: 200, responseBytes: 4 });
  });

  it("by a client that leaves emits no 'finish'", async () => {
    const events: string[] = [];
    const session = await start(
      express().use((_req, res) => {
        for (const event of ["finish", "close"]) res.on(event, () => events.push(event));
        res.write("part");
      }),
    );
    const stream = session.request({ ":path": "/" });
    stream.on("error", () => {});
    await once(stream, "data");
    stream.close(8);
    await until(() => events.includes("close"));
    expect(events).toEqual(["close"]);
  });

  const left: Record<string, (body: express.Request) => Promise<unknown>> = {
    "for await": async (body) => {
      for await (const chunk of body) void chunk;
    },
    pipeline: (body) =>
      promisify(pipeline)(body, new Writable({ write: (_chunk, _encoding, done) => done() })),
    "an 'error' listener": (body) =>
      new Promise((resolve, reject) => body.resume().on("end", resolve).on("error", reject)),
  };
  const ways = { "RST_STREAM CANCEL": 8, "RST_STREAM NO_ERROR": 0, "the end of the connection": undefined };
  it.each(
    Object.entries(left).flatMap(([name, read]) =>
      Object.entries(ways).map(([way, code]) => [name, way, code, read] as const),
    ),
  )("of an upload is not taken for its complete end: %s, %s", async (_name, _way, code, read) => {
    const ends: unknown[] = [];
    const app = express().use(async (req) => {
      const { complete } = req;
      req.once("data", () => {
        if (code === undefined) socket.destroy();
        else socket.write(frame(3, 0, 1, Buffer.from([0, 0, 0, code])));
      });
      await read(req).then(
        () => ends.push("whole"),
        (error) => ends.push([error.code, complete, req.complete, req.aborted]),
      );
    });
    bridgeHttp2(app);
    // Node's own client sends an END_STREAM before it resets a stream.
    const socket = net.connect((await listenHttp2(app, { tls: false })).port, "127.0.0.1");
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(frame(4, 0, 0, Buffer.alloc(0)));
    socket.write(frame(1, 4, 1, Buffer.from([0x83, 0x86, 0x84, 0x41, 1, 0x61]))); // POST http / a
    socket.write(frame(0, 0, 1, Buffer.from("part")));
    await until(() => ends.length > 0);
    socket.destroy();
    expect(ends).toEqual([["ECONNRESET", false, false, true]]);
  });

  it("by req.destroy() aborts the request once", async () => {
    const events: string[] = [];
    const { reset } = await answerOf(
      (req) => {
        for (const event of ["aborted", "error", "close"]) req.on(event, () => events.push(event));
        req.once("data", () => req.destroy(new Error("enough")));
      },
      { method: "POST", body: ["some", Buffer.alloc(200_000)] },
    );
    expect(reset).toBe(2);
    await until(() => events.includes("close"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual(["aborted", "error", "close"]);
  });

  it("does not change a request that was complete before its client left", async () => {
    const seen: unknown[] = [];
    const app = express().use(express.text(), (req) => {
      seen.push(req.body, req.complete);
      req.on("close", () => seen.push(req.complete, req.aborted));
    });
    const session = await start(app);
    const stream = session.request({ ":path": "/", ":method": "POST", "content-type": "text/plain" });
    stream.on("error", () => {});
    stream.end("all");
    await until(() => seen.length === 2);
    stream.close(8);
    await until(() => seen.length === 4);
    expect(seen).toEqual(["all", true, true, true]);
  });
});

describe("the request", () => {
  it("has headers of its own, and leaves Node's alone", async () => {
    const app = express().use((req, res) => {
      req.headers["x-set"] = "by the app";
      const { headers } = req;
      res.json([
        headers,
        Object.getPrototypeOf(headers) === Object.prototype,
        req.get("x-set"),
        req.headersDistinct,
      ]);
    });
    bridgeHttp2(app);
    const { url, server } = await listenHttp2(app, { tls: false });
    const of: object[] = [];
    server.on("stream", (_stream, headers) => of.push(headers));
    const { body } = await ask(connectHttp2(url), "/a", {
      headers: { "x-a": "1", ":authority": "one:81", host: "two" },
    });
    const [headers, isPlain, set, distinct] = JSON.parse(body);
    expect(headers).toEqual({ host: "one:81", "x-a": "1", "x-set": "by the app" });
    expect([isPlain, set]).toEqual([true, "by the app"]);
    expect(distinct).toEqual({ host: ["one:81"], "x-a": ["1"] });
    expect(of[0]).toMatchObject({ ":path": "/a", ":authority": "one:81", host: "two" });
    expect(of[0]).not.toHaveProperty("x-set");
  });

  it("accepts a new headers object, and then reads the host from it", async () => {
    const { body } = await answerOf((req, res) => {
      req.headers = { host: "set" };
      res.json(req.hostname);
    });
    expect(JSON.parse(body)).toBe("set");
  });

  it.each<[string, Ask, object]>([
    ["a GET", {}, { complete: true }],
    ["a POST with no body", { method: "POST" }, { complete: true }],
    ["a body without length", { method: "POST", body: "x" }, { te: "chunked" }],
    [
      "a body with length",
      { method: "POST", body: "x", headers: { "content-length": "1" } },
      { length: "1" },
    ],
  ])("tells whether there is a body: %s", async (_name, question, expected) => {
    const { body } = await answerOf((req, res) => {
      const { "transfer-encoding": te, "content-length": length } = req.headers;
      res.json({ te, length, ...(req.complete && { complete: true }) });
    }, question);
    expect(JSON.parse(body)).toMatchObject(expected);
    if (question.body === undefined) expect(JSON.parse(body)).toEqual(expected);
  });
});
