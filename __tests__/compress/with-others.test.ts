import http, { createServer, type IncomingMessage } from "node:http";
import zlib, { brotliDecompressSync, gunzipSync } from "node:zlib";
import compression from "compression";
import express, { type ErrorRequestHandler, type RequestHandler, type Response } from "express";
import session from "express-session";
import { cache } from "../../src/cache/index.js";
import { compress } from "../../src/compress/index.js";
import { contextOf, requestContext } from "../../src/context/index.js";
import { cors } from "../../src/cors/index.js";
import { notFound } from "../../src/not-found.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { serve, serve as serveApp } from "../../src/serve/index.js";
import { timeout } from "../../src/timeout/index.js";
import { certificate } from "../support/certificate.js";
import { ask1, ask as askHttp2, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, until } from "../support/server.js";
import { ask, text } from "./support.js";

describe("with other middleware", () => {
  afterEach(async () => {
    jest.restoreAllMocks();
    await Promise.all([closeServers(), closeHttp2()]);
  });

  const LONG = text(5_000);
  const LARGE = text(200_000);
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

  /** The documented stack around compress, and the handlers after it. */
  function app(...handlers: RequestHandler[]) {
    const records: { responseBytes: number; status: number }[] = [];
    const logger = memoryLogger();
    const made = express();
    made.use(
      requestContext(),
      requestLog({ format: "json", stream: { write: (line) => void records.push(JSON.parse(line)) } }),
    );
    made.use(securityHeaders(), cors({ origin: ["https://app.example"] }));
    for (const one of handlers) made.use(one);
    made.get("/long", (_req, res) => void res.type("text").send(LONG));
    made.get("/large", (_req, res) => void res.type("text").send(LARGE));
    made.get("/parts", async (_req, res) => {
      res.type("text");
      for (let i = 0; i < 10; i++) {
        res.write(LARGE.slice(i * 20_000, (i + 1) * 20_000));
        await sleep(0);
      }
      res.end();
    });
    made.get("/throws", () => {
      throw new Error(LONG);
    });
    made.use(notFound(), recover({ logger }));
    return { app: made, records, logger };
  }

  const headers = { Origin: "https://app.example" };

  it.each([
    ["/long", 200, LONG],
    ["/large", 200, LARGE],
    ["/parts", 200, LARGE],
  ])("after context, log, headers and cors: %s", async (path, status, body) => {
    const { app: made, records } = app(compress());
    const server = await listen(made);
    const answer = await ask(server, { path, accept: "gzip", headers });
    expect([answer.status, answer.encoding, answer.body === body]).toEqual([status, "gzip", true]);
    expect(answer.headers.vary).toBe("Origin, Accept-Encoding");
    expect(answer.headers["access-control-allow-origin"]).toBe("https://app.example");
    expect(answer.headers["x-content-type-options"]).toBe("nosniff");
    await until(() => records.length === 1);
    expect(records[0]!.responseBytes).toBe(answer.raw.length); // as sent
  });

  it.each([
    ["outside of it", true],
    ["inside of it", false],
  ])("a 500 and a 404 are encoded, and have all their headers (recover %s)", async (_name, isOutside) => {
    const { app: made, logger } = app(isOutside ? compress() : recover.wrap(compress()));
    const server = await listen(made);
    const answer = await ask(server, { path: "/throws", accept: "gzip", headers });
    expect([answer.status, answer.encoding]).toEqual([500, "gzip"]);
    expect(JSON.parse(answer.body)).toMatchObject({ status: 500 });
    expect(answer.headers["access-control-allow-origin"]).toBe("https://app.example");
    expect(answer.headers.connection).toBe("close");
    expect(logger.entries).toHaveLength(1);
    const missing = await ask(server, { path: "/nothing", accept: "gzip", headers });
    expect([missing.status, missing.encoding, JSON.parse(missing.body).status]).toEqual([
      404,
      undefined,
      404,
    ]); // it is short
  });

  describe("timeout", () => {
    /** Until the timeout has answered, however late its timer was. */
    const deadline = (req: IncomingMessage) =>
      new Promise((resolve) =>
        contextOf(req).signal.addEventListener("abort", () => setTimeout(resolve, 5), { once: true }),
      );
    const late: RequestHandler[] = [
      async function endsLate(req, res) {
        await deadline(req);
        res.type("text").send(LARGE);
      },
      async function writesLate(req, res) {
        res.type("text").set("ETag", '"late"');
        await deadline(req);
        res.write(LARGE);
        res.end();
      },
    ];
    const orders: [string, (handler: RequestHandler) => RequestHandler[]][] = [
      ["outside of compress", (handler) => [timeout(10), compress({ threshold: 10 }), handler]],
      ["inside of compress", (handler) => [compress({ threshold: 10 }), timeout(10), handler]],
      ["between two", (handler) => [compress({ threshold: 10 }), timeout(10), compress(), handler]],
    ];
    const cases = orders.flatMap(([name, order]) =>
      late.map((handler) => [name, handler.name, order(handler)] as const),
    );

    it.each(cases)("%s answers for a handler that %s, cleanly", async (name, _handler, handlers) => {
      const { app: made } = app(...handlers);
      const server = await listen(made);
      const answer = await ask(server, { accept: "gzip", headers });
      expect([answer.status, answer.isWhole]).toEqual([503, true]);
      expect(answer.encoding).toBe(
        name.startsWith("outside") ? undefined : name.startsWith("between") ? undefined : "gzip",
      );
      expect(JSON.parse(answer.body)).toMatchObject({ status: 503 });
      expect([answer.headers.etag, answer.headers["access-control-allow-origin"]]).toEqual([
        undefined,
        "https://app.example",
      ]);
      await sleep(40); // late calls do no harm
      expect((await ask(server, { path: "/long", accept: "gzip" })).status).toBe(503);
    });

    it("answers for a response of which nothing has been sent, though its handler has begun", async () => {
      const told: unknown[] = [];
      // With `flush: "auto"` the head goes out at the handler's first pause, and the answer has begun.
      const { app: made } = app(timeout(15), compress({ flush: false }), async (req, res) => {
        res.type("text").write("little"); // less than the threshold
        await deadline(req);
        res.end(" more", () => told.push("end"));
        told.push(res.writableEnded);
      });
      const answer = await ask(await listen(made), { accept: "gzip" });
      expect([answer.status, answer.isWhole, answer.encoding]).toEqual([503, true, undefined]);
      expect(JSON.parse(answer.body)).toMatchObject({ status: 503 });
      await until(() => told.length === 2); // it is over for the handler too
    });

    it("does not stop a response that has been sent in part", async () => {
      const { app: made } = app(timeout(400), compress(), async (_req, res) => {
        res.type("text").write(LARGE);
        await sleep(500);
        res.end(LARGE);
      });
      const answer = await ask(await listen(made), { accept: "gzip" });
      expect([answer.status, answer.encoding, answer.body === LARGE + LARGE]).toEqual([200, "gzip", true]);
    });
  });

  describe("cache", () => {
    const scene = async (...handlers: RequestHandler[]) => {
      let made = 0;
      const { app: whole } = app(...handlers, (req, res, next) => {
        if (req.path !== "/page") return next();
        made++;
        res.set({ "Cache-Control": "max-age=60", ETag: '"v1"' }).type("text").send(LONG);
      });
      const server = await listen(whole);
      const get = (accept: string, more = {}) =>
        ask(server, { path: "/page", accept, headers: { ...headers, ...more } });
      return { get, count: () => made };
    };

    it("outside: a hit is sent as it was encoded, and a client without encodings gets it plain", async () => {
      const gzip = jest.spyOn(zlib, "gzipSync");
      const { get, count } = await scene(cache(), compress());
      const first = await get("gzip");
      const calls = gzip.mock.calls.length;
      for (const [accept, coding, times] of [
        ["gzip", "gzip", 1],
        ["identity", undefined, 2],
        ["br", "br", 3],
        ["gzip", "gzip", 3],
        ["identity", undefined, 3],
      ] as const) {
        const answer = await get(accept);
        expect([answer.encoding, answer.body === LONG, count()]).toEqual([coding, true, times]);
      }
      expect((await get("gzip")).raw.equals(first.raw)).toBe(true);
      expect([calls, gzip.mock.calls.length]).toEqual([calls, calls]);
      const again = await get("gzip", { "If-None-Match": first.headers.etag! });
      expect([again.status, again.raw.length]).toEqual([304, 0]);
    });

    it("inside: one entry serves all clients, and is encoded for each", async () => {
      const { get, count } = await scene(compress(), cache());
      for (const accept of ["gzip", "identity", "br", "gzip", ""]) {
        const answer = await get(accept);
        expect([answer.encoding ?? "", answer.body === LONG]).toEqual([accept.replace("identity", ""), true]);
        expect(answer.headers.vary).toContain("Accept-Encoding");
      }
      expect(count()).toBe(1);
    });
  });

  describe("third parties", () => {
    const sessions = () => session({ secret: "s", resave: false, saveUninitialized: true });
    const orders: [string, () => RequestHandler[]][] = [
      ["express-session inside", () => [compress(), sessions()]],
      ["express-session outside", () => [sessions(), compress()]],
      ["compression inside", () => [compress(), compression()]],
      ["compression outside", () => [compression(), compress()]],
      ["both on both sides", () => [compression(), sessions(), compress(), sessions(), compression()]],
    ];
    it.each(orders)("%s", async (name, handlers) => {
      const { app: made } = app(...handlers());
      const server = await listen(made);
      for (const [path, body] of [
        ["/long", LONG],
        ["/large", LARGE],
        ["/parts", LARGE],
      ] as const) {
        const answer = await ask(server, { path, accept: "gzip" });
        expect([path, answer.status, answer.encoding, answer.body === body]).toEqual([
          path,
          200,
          "gzip",
          true,
        ]);
        expect(answer.headers["set-cookie"] !== undefined).toBe(
          name.includes("session") || name.includes("both"),
        );
      }
    });
  });

  describe("over HTTP/2", () => {
    const start = async (...handlers: RequestHandler[]) => {
      const { app: made, ...rest } = app(...handlers);
      const served = await serveApp(made, {
        port: 0,
        host: "127.0.0.1",
        http2: true,
        signals: [],
        tls: await certificate(),
      });
      return { ...rest, served, client: connectHttp2(served.url.replace("127.0.0.1", "localhost")) };
    };

    it("complete, large and streamed bodies are encoded", async () => {
      const { client, served } = await start(compress());
      for (const [path, body] of [
        ["/long", LONG],
        ["/large", LARGE],
        ["/parts", LARGE],
      ] as const) {
        for (const [coding, decode] of [
          ["gzip", zlib.gunzipSync],
          ["br", zlib.brotliDecompressSync],
        ] as const) {
          const answer = await askHttp2(client, path, { headers: { "accept-encoding": coding } });
          expect([answer.status, answer.headers["content-encoding"], answer.isWhole]).toEqual([
            200,
            coding,
            true,
          ]);
          expect(decode(Buffer.from(answer.body, "latin1")).toString() === body).toBe(true);
          if (path !== "/parts") expect(answer.headers["content-length"]).toBe(String(answer.body.length));
        }
        const head = await askHttp2(client, path, { method: "HEAD", headers: { "accept-encoding": "gzip" } });
        expect([head.status, head.body, head.headers["content-length"]]).toEqual([200, "", undefined]);
        const plain = await askHttp2(client, path);
        expect([plain.headers["content-encoding"], plain.body === body]).toEqual([undefined, true]);
      }
      const failed = await askHttp2(client, "/throws", { headers: { "accept-encoding": "gzip" } });
      expect(failed.status).toBe(500);
      client.destroy();
      await served.close();
    });

    it("a stream that its client resets stops its source, and one that throws is reset", async () => {
      let closed = 0;
      const { client, served } = await start(compress(), (req, res, next) => {
        if (req.path === "/throws-late") {
          res.type("text").write(LARGE);
          throw new Error("half-way");
        }
        if (req.path !== "/endless") return next();
        res.on("close", () => closed++);
        const more = () => {
          if (res.destroyed) return;
          if (res.write(Buffer.from(text(30_000)))) setImmediate(more);
          else res.once("drain", more);
        };
        res.type("text");
        more();
      });
      const stream = client.request({ ":path": "/endless", "accept-encoding": "gzip" });
      stream.on("error", () => {});
      await new Promise((resolve) => stream.once("data", resolve));
      stream.close(8);
      await until(() => closed === 1);
      const cut = await askHttp2(client, "/throws-late", { headers: { "accept-encoding": "gzip" } });
      expect(cut.isWhole).toBe(false);
      client.destroy();
      await served.close();
    });
  });

  it("works without Express, and before a bare handler", async () => {
    const middle = compress();
    const server = createServer((req, res) => {
      middle(req as never, res as never, () => {
        res.setHeader("Content-Type", "text/plain");
        res.end(LONG);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const answer = await ask({ url: `http://127.0.0.1:${port}` }, { accept: "gzip" });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect([answer.encoding, answer.body]).toEqual(["gzip", LONG]);
  });
});

// Outer middleware may hold the end of the response for a while.
describe("outer middleware", () => {
  const open: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    await closeHttp2();
    for (const close of open.splice(0)) await close();
  });

  const endsLater: RequestHandler = (_req, res, next) => {
    const { end } = res;
    res.end = ((...args: Parameters<Response["end"]>) => {
      setImmediate(() => end.apply(res, args));
      return res;
    }) as Response["end"];
    next();
  };

  class SlowStore extends session.MemoryStore {
    override set(...[id, data, done]: Parameters<session.MemoryStore["set"]>): void {
      setImmediate(() => super.set(id, data, done));
    }
  }

  const OUTERS: Record<string, RequestHandler> = {
    "an end that comes later": endsLater,
    "a session that is being saved": session({
      secret: "s",
      resave: true,
      saveUninitialized: true,
      store: new SlowStore(),
    }),
  };

  const BODY = "so it goes, ".repeat(4_000);
  const HANDLERS: Record<string, RequestHandler> = {
    small: (_req, res) => void res.type("text").send(BODY.slice(0, 2_000)),
    large: (_req, res) => void res.type("text").send(BODY),
    streamed: (_req, res) => {
      res.type("text").write(BODY.slice(0, 2_000));
      setImmediate(() => res.end(BODY.slice(2_000)));
    },
  };

  const decode: Record<string, (bytes: Buffer) => Buffer> = {
    br: brotliDecompressSync,
    gzip: gunzipSync,
    identity: (bytes) => bytes,
  };

  describe.each(["HTTP/1.1", "HTTP/2"])("over %s", (protocol) => {
    test.each(Object.entries(OUTERS))("inside of %s a body is complete", async (_name, outer) => {
      const isHttp2 = protocol === "HTTP/2";
      const app = express();
      app.use(outer, compress());
      for (const [path, handler] of Object.entries(HANDLERS)) app.get(`/${path}`, handler);
      const { key, cert } = await certificate();
      const served = await serve(app, {
        port: 0,
        logger: memoryLogger(),
        signals: false,
        drain: { idleGraceMs: 0 },
        ...(isHttp2 && { tls: { key, cert }, http2: true }),
      });
      open.push(() => served.close());
      for (const path of Object.keys(HANDLERS)) {
        for (const coding of ["br", "gzip", "identity"]) {
          const options = { headers: { "accept-encoding": coding } };
          const answer = isHttp2
            ? await askHttp2(connectHttp2(served.url), `/${path}`, options)
            : await ask1(served.url, `/${path}`, options);
          expect(answer).toMatchObject({ status: 200, isWhole: true });
          expect(answer.headers["content-encoding"]).toBe(coding === "identity" ? undefined : coding);
          const text = decode[coding]!(Buffer.from(answer.body, "latin1")).toString();
          expect(text).toBe(path === "small" ? BODY.slice(0, 2_000) : BODY);
        }
      }
    });
  });
});

// A response has the same result with compress as without.
describe("as without compress", () => {
  afterEach(closeServers);

  const TEXT = Array.from({ length: 20_000 }, (_, i) => `line ${(i * 7_919) % 20_011}\n`).join("");

  const HANDLERS: Record<string, RequestHandler> = {
    "a body in parts, ended while it is corked": (_req, res) => {
      res.type("text").cork();
      res.write(TEXT);
      res.end(); // the chunk of a corked `end` is lost by Node 22 and 24 themselves
    },
    "a small one": (_req, res) => {
      res.type("text").cork();
      res.write("small");
      res.end();
    },
    "a whole body, corked twice": (_req, res) => {
      res.type("text").cork();
      res.cork();
      res.end(TEXT.repeat(40)); // so long that its head is sent before all of it is encoded
    },
    "trailers after a small body": (_req, res) => {
      res.type("text").write("a little");
      res.addTrailers({ "X-Sum": "1" });
      res.end();
    },
    "trailers after a body that gets smaller": (_req, res) => {
      res.type("text").write(TEXT.slice(0, 3_000));
      res.addTrailers({ "X-Sum": "1" });
      res.end();
    },
    "trailers after a large one": (_req, res) => {
      res.type("text").write(TEXT);
      res.addTrailers({ "X-Sum": "1" });
      res.end();
    },
    "a reason phrase that is changed too late": (_req, res) => {
      res.statusMessage = "First";
      res.type("text").write("a");
      res.statusMessage = "Late";
      res.end("b");
    },
  };

  test.each(Object.entries(HANDLERS))("%s", async (_name, handler) => {
    const plain = await answerOf(handler);
    expect(plain.text).not.toBe("");
    expect(await answerOf(compress(), handler)).toEqual(plain);
  });

  test("a handler that fails after its answer does not change the answer with recover, short or long", async () => {
    for (const size of [3_000, TEXT.length]) {
      const handler: RequestHandler = async (_req, res) => {
        res.type("text").send(TEXT.slice(0, size));
        throw new Error("too late");
      };
      const answer = await answerOf(compress(), handler, recover({ logger: memoryLogger() }));
      expect(answer).toMatchObject({ status: 200, text: TEXT.slice(0, size) });
    }
  });

  test("the chunk that ends a corked body arrives", async () => {
    for (const size of [10, TEXT.length]) {
      const handler: RequestHandler = (_req, res) => {
        res.type("text").cork();
        res.write(TEXT.slice(0, size));
        res.end("end");
      };
      const answer = await answerOf(compress(), handler);
      expect(answer.text).toBe(`${TEXT.slice(0, size)}end`);
    }
  });

  async function answerOf(...handlers: (RequestHandler | ErrorRequestHandler)[]) {
    const { url } = await listen(express().use(...handlers));
    const headers = { "accept-encoding": "gzip" };
    const res = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get(url, { headers, agent: false }, resolve).once("error", reject);
    });
    const bytes = Buffer.concat(await res.toArray());
    const text = (res.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes).toString();
    return { status: res.statusCode, phrase: res.statusMessage, text, trailers: res.trailers };
  }
});
