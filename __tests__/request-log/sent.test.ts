import http from "node:http";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { pipeline, Readable } from "node:stream";
import compression from "compression";
import type express from "express";
import request from "supertest";
import { AbortRequest, recover } from "../../src/recover/index.js";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { memoryStream } from "./memory.js";

describe("what was sent", () => {
  afterEach(closeServers);

  const BODY = "x".repeat(5_000);

  function sendAll(res: http.ServerResponse, ...chunks: (string | Buffer)[]): void {
    for (const chunk of chunks) res.write(chunk);
    res.end();
  }

  function flushAndEnd(res: http.ServerResponse, body: string): void {
    res.flushHeaders();
    res.end(body);
  }

  describe.each(expressVersions)("what requestLog logs of the response on %s", (_version, make) => {
    function app(
      handler: express.RequestHandler,
      options: RequestLogOptions = {},
      ...inner: express.RequestHandler[]
    ) {
      const stream = memoryStream();
      const server = make();
      server.disable("etag");
      server.use(requestLog({ stream, format: "json", ...options }), ...inner, handler);
      return { stream, server };
    }

    const BODIES: [string, express.RequestHandler, number][] = [
      ["send", (_req, res) => void res.send("caf\u00e9"), 5],
      ["end with an encoding", (_req, res) => void res.end("e9e9", "hex"), 2],
      ["chunks", (_req, res) => sendAll(res, "abc", Buffer.from("de"), "f"), 6],
      ["writeHead and end", (_req, res) => void res.writeHead(201, { "Content-Length": 3 }).end("abc"), 3],
      ["flushHeaders, then a body", (_req, res) => flushAndEnd(res, "abcd"), 4],
      ["a piped stream", (_req, res) => void Readable.from(["ab", "cde"]).pipe(res), 5],
      ["204", (_req, res) => void res.status(204).end("ignored"), 0],
      ["304", (_req, res) => void res.status(304).end("ignored"), 0],
      ["nothing", (_req, res) => void res.end(), 0],
    ];
    it.each(BODIES)("the bytes of %s", async (_name, handler, bytes) => {
      const { stream, server } = app(handler);
      const { port } = await listen(server);
      await raw(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await until(() => stream.lines.length > 0);
      expect(stream.entries[0]!.responseBytes).toBe(bytes);
    });

    it("a HEAD has no bytes, whatever its Content-Length", async () => {
      const { stream, server } = app((_req, res) => void res.send(BODY));
      const answer = await request(server).head("/");
      expect(answer.headers["content-length"]).toBe("5000");
      expect(stream.entries[0]!.responseBytes).toBe(0);
    });

    it("bytes are counted after compression", async () => {
      const { stream, server } = app(
        (_req, res) => void res.type("text").send(BODY),
        {},
        compression({ threshold: 0 }) as express.RequestHandler,
      );
      const { port } = await listen(server);
      const { text } = await raw(port, "GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
      await until(() => stream.lines.length > 0);
      expect(text).toMatch(/Content-Encoding: gzip/i);
      expect(stream.entries[0]!.responseBytes).toBe(text.length - text.indexOf("\r\n\r\n") - 4);
    });

    it("return values, callbacks and backpressure of write and end are untouched", async () => {
      const seen: unknown[] = [];
      const { stream, server } = app((_req, res) => {
        seen.push(res.write(Buffer.alloc(4_000_000), () => seen.push("written")));
        seen.push(res.end("x", () => seen.push("ended")) === res);
      });
      await request(server)
        .get("/")
        .buffer(true)
        .parse(
          (res, done) =>
            void (res as unknown as http.IncomingMessage).resume().on("end", () => done(null, "")),
        );
      await until(() => stream.lines.length > 0);
      expect(seen).toEqual([false, true, "written", "ended"]);
      expect(stream.entries[0]!.responseBytes).toBe(4_000_001);
    });

    it("103 Early Hints do not count as the head, and get no Server-Timing", async () => {
      const { stream, server } = app(
        (_req, res) => {
          res.writeEarlyHints({ link: "</a.css>; rel=preload" });
          setTimeout(() => res.send("x"), 15);
        },
        { serverTiming: true },
      );
      const { port } = await listen(server);
      const { text } = await raw(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await until(() => stream.lines.length > 0);
      const [hints, head] = text.split("\r\n\r\n") as [string, string];
      expect(hints).toMatch(/^HTTP\/1\.1 103 /);
      expect(hints).not.toMatch(/server-timing/i);
      expect(head).toMatch(/^Server-Timing: total;dur=\d+\.\d\r?$/m);
      expect(stream.entries[0]!.headersMs).toBeGreaterThan(10);
    });

    it("the times to the head and to the end differ, and do not depend on the system's clock", async () => {
      const { stream, server } = app((_req, res) => {
        res.write("x");
        jest.spyOn(Date, "now").mockReturnValue(0);
        setTimeout(() => res.end(), 15);
      });
      try {
        await request(server).get("/");
        const { headersMs, durationMs, time } = stream.entries[0]!;
        expect(durationMs - headersMs!).toBeGreaterThan(10);
        expect(durationMs).toBeLessThan(5_000);
        expect(time).toBe("1970-01-01T00:00:00.000Z");
      } finally {
        jest.restoreAllMocks();
      }
    });

    it("Server-Timing is off by default, and is added after metrics that are already there", async () => {
      const handler: express.RequestHandler = (req, res) => {
        if (req.path === "/one") res.setHeader("Server-Timing", 'db;dur=5;desc="a, b"');
        if (req.path === "/list") res.setHeader("Server-Timing", ["a;dur=1", "b;dur=2"]);
        res.send("x");
      };
      const off = await request(app(handler).server).get("/");
      expect(off.headers).not.toHaveProperty("server-timing");
      const { server } = app(handler, { serverTiming: true });
      const timing = async (path: string) => (await request(server).get(path)).headers["server-timing"];
      expect(await timing("/")).toMatch(/^total;dur=\d+\.\d$/);
      expect(await timing("/one")).toMatch(/^db;dur=5;desc="a, b", total;dur=\d+\.\d$/);
      expect(await timing("/list")).toMatch(/^a;dur=1, b;dur=2, total;dur=\d+\.\d$/);
    });

    it("Server-Timing may depend on the request", async () => {
      const { server } = app((_req, res) => void res.send("x"), {
        serverTiming: (req) => req.query.timing === "1",
      });
      expect((await request(server).get("/")).headers).not.toHaveProperty("server-timing");
      expect((await request(server).get("/?timing=1")).headers).toHaveProperty("server-timing");
    });
  });

  describe("without Express", () => {
    it("plain requests and responses are logged too", async () => {
      const stream = memoryStream();
      const log = requestLog({ stream, format: "json" });
      const { port } = await listen((req, res) =>
        log(req as never, res as never, () => {
          req.url = "/rewritten";
          res.end("abc");
        }),
      );
      await raw(port, "GET http://u:p@a.example/x?y=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await raw(port, "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await until(() => stream.lines.length === 2);
      expect(stream.entries.map(({ path, query, responseBytes }) => [path, query, responseBytes])).toEqual([
        ["/x", "y=1", 3],
        ["*", undefined, 3],
      ]);
    });

    it("a Unix socket has no address", async () => {
      const stream = memoryStream();
      const log = requestLog({ stream, format: "combined" });
      const server = http.createServer((req, res) => log(req as never, res as never, () => res.end()));
      const socketPath = `\0portico-${process.pid}-${Math.random()}`;
      await new Promise<void>((resolve) => server.listen(socketPath, resolve));
      await new Promise((resolve) =>
        http.get({ socketPath, path: "/" }, (res) => res.resume().on("end", resolve)),
      );
      await until(() => stream.lines.length > 0);
      server.close();
      server.closeAllConnections();
      expect(stream.lines[0]).toMatch(/^- - - \[/);
    });
  });
});

describe("aborts", () => {
  afterEach(closeServers);

  const GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

  /** A client that leaves when the server says so, by a FIN or a reset. */
  function client(port: number, text: string) {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("error", () => {});
    socket.resume();
    return socket;
  }

  describe.each(expressVersions)("a request that does not end well, on %s", (_version, express) => {
    function app(handler: (req: http.IncomingMessage, res: http.ServerResponse) => void) {
      const stream = memoryStream();
      const server = express();
      server.use(requestLog({ stream, format: "json" }));
      server.use((req, res) => handler(req, res));
      server.use(recover({ logger: memoryLogger() }));
      return { stream, server };
    }

    it.each([
      "destroy",
      "resetAndDestroy",
      "end",
    ] as const)("client gone before any head (%s): 499, aborted, no size", async (leave) => {
      let arrived = false;
      const { stream, server } = app(() => {
        arrived = true;
      });
      const { port } = await listen(server);
      const socket = client(port, GET);
      await until(() => arrived);
      socket[leave]();
      await until(() => stream.lines.length > 0);
      const [entry] = stream.entries;
      expect(entry).toMatchObject({ status: 499, aborted: true, level: "info", remoteAddress: "127.0.0.1" });
      expect(entry!.durationMs).toBeGreaterThan(0);
      expect(entry).not.toHaveProperty("responseBytes");
      expect(entry).not.toHaveProperty("headersMs");
      expect(entry).not.toHaveProperty("error");
    });

    it("the client leaves during the body: the status that was sent, aborted, the bytes so far", async () => {
      const { stream, server } = app((_req, res) => {
        res.write("12345");
      });
      const { port } = await listen(server);
      const socket = client(port, GET);
      socket.once("data", () => socket.destroy());
      await until(() => stream.lines.length > 0);
      expect(stream.entries).toEqual([
        expect.objectContaining({ status: 200, aborted: true, responseBytes: 5 }),
      ]);
    });

    it("the client leaves during a piped body: aborted, and not an error of the server", async () => {
      const { stream, server } = app((_req, res) => {
        const endless = new Readable({
          read() {
            this.push(Buffer.alloc(1_000));
          },
        });
        pipeline(endless, res, () => {});
      });
      const { port } = await listen(server);
      const socket = client(port, GET);
      socket.once("data", () => socket.resetAndDestroy());
      await until(() => stream.lines.length > 0);
      expect(stream.entries).toEqual([expect.objectContaining({ status: 200, aborted: true })]);
      expect(stream.entries[0]).not.toHaveProperty("error");
    });

    it("an upload that stops half-way is logged as 499, aborted", async () => {
      let arrived = false;
      const { stream, server } = app((req) => {
        req.once("data", () => {
          arrived = true;
        });
      });
      const { port } = await listen(server);
      const socket = client(port, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
      await until(() => arrived);
      socket.destroy();
      await until(() => stream.lines.length > 0);
      expect(stream.entries).toEqual([
        expect.objectContaining({ method: "POST", status: 499, aborted: true }),
      ]);
    });

    it("the server destroys the response with an error: not aborted, the error, never 200", async () => {
      const { stream, server } = app((_req, res) => {
        res.destroy(new RangeError("out of\nreach"));
      });
      const { port } = await listen(server);
      await raw(port, GET);
      await until(() => stream.lines.length > 0);
      expect(stream.entries).toEqual([
        expect.objectContaining({
          status: 500,
          level: "error",
          error: { type: "RangeError", message: "out of\nreach" },
        }),
      ]);
      expect(stream.entries[0]).not.toHaveProperty("aborted");
    });

    it("the server destroys the response half-way: the real status, not aborted", async () => {
      const { stream, server } = app((_req, res) => {
        res.write("123");
        setImmediate(() => res.destroy(new Error("upstream")));
      });
      const { port } = await listen(server);
      await raw(port, GET);
      await until(() => stream.lines.length > 0);
      expect(stream.entries).toEqual([
        expect.objectContaining({
          status: 200,
          level: "error",
          error: { type: "Error", message: "upstream" },
        }),
      ]);
      expect(stream.entries[0]).not.toHaveProperty("aborted");
    });

    it("the server drops the connection without a response: 444, not aborted", async () => {
      const { stream, server } = app((req) => {
        req.socket.destroy();
      });
      const { port } = await listen(server);
      await raw(port, GET);
      await until(() => stream.lines.length > 0);
      expect(stream.entries).toEqual([expect.objectContaining({ status: 444 })]);
      expect(stream.entries[0]).not.toHaveProperty("aborted");
    });

    it("AbortRequest, for which recover resets the connection: 444, not aborted, no error", async () => {
      const { stream, server } = app(() => {
        throw new AbortRequest();
      });
      const { port } = await listen(server);
      expect((await raw(port, GET)).end).toBe("reset");
      await until(() => stream.lines.length > 0);
      expect(stream.entries).toEqual([expect.objectContaining({ status: 444 })]);
      expect(stream.entries[0]).not.toHaveProperty("aborted");
      expect(stream.entries[0]).not.toHaveProperty("error");
    });

    it("a body that recover truncates: the status that was sent, an error, not aborted", async () => {
      const { stream, server } = app((_req, res) => {
        res.write("123");
        throw new TypeError("late");
      });
      const { port } = await listen(server);
      await raw(port, GET);
      await until(() => stream.lines.length > 0);
      expect(stream.entries).toEqual([
        expect.objectContaining({
          status: 200,
          level: "error",
          error: { type: "TypeError", message: "late" },
        }),
      ]);
      expect(stream.entries[0]).not.toHaveProperty("aborted");
    });

    const REVOKED = Proxy.revocable({}, {});
    REVOKED.revoke();
    const THROWN: [string, unknown, string][] = [
      ["an Error", new SyntaxError("m"), "SyntaxError"],
      ["a string", "text", "string"],
      ["a symbol", Symbol("s"), "symbol"],
      ["a revoked Proxy", REVOKED.proxy, "object"],
      [
        "an object whose getters throw",
        Object.defineProperty({}, "message", {
          get() {
            throw 1;
          },
        }),
        "Object",
      ],
    ];
    it.each(
      THROWN,
    )("%s that was thrown is one record with status 500 and its type", async (_name, value, type) => {
      const { stream, server } = app(() => {
        throw value;
      });
      const { port } = await listen(server);
      await fetch(`http://127.0.0.1:${port}/x`);
      await until(() => stream.lines.length > 0);
      expect(stream.entries).toEqual([expect.objectContaining({ status: 500, level: "error" })]);
      expect(stream.entries[0]!.error).toEqual({ type, message: expect.any(String) });
    });

    it("two pipelined requests are two records in the order in which they end, also if the client leaves", async () => {
      const waiting: http.ServerResponse[] = [];
      const { stream, server } = app((req, res) => {
        if (req.url === "/now") res.end("now");
        else waiting.push(res);
      });
      const { port } = await listen(server);
      const pair = (a: string, b: string) =>
        [a, b].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join("");
      await raw(port, pair("/now", "/now"));
      expect(stream.lines).toHaveLength(2);
      const socket = client(port, pair("/first", "/second"));
      await until(() => waiting.length === 2);
      socket.destroy();
      await until(() => stream.lines.length === 4);
      expect(stream.entries.slice(2).map(({ status, aborted }) => [status, aborted])).toEqual([
        [499, true],
        [499, true],
      ]);
    });

    it("keep-alive, finish and close: one record each", async () => {
      const { stream, server } = app((_req, res) => {
        res.end("x");
      });
      const { port } = await listen(server);
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      for (let i = 0; i < 5; i++) {
        await new Promise<void>((resolve, reject) => {
          http
            .get({ port, host: "127.0.0.1", agent }, (res) => {
              res.resume().on("end", resolve);
            })
            .on("error", reject);
        });
      }
      agent.destroy();
      await until(() => stream.lines.length >= 5);
      expect(stream.entries.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    });
  });
});

describe("over HTTP/2", () => {
  const HANDLERS: Record<string, (res: http2.Http2ServerResponse) => void> = {
    "/whole": (res) => res.end("hello"),
    "/head": (res) => res.writeHead(201, { "x-a": "1" }).end("xx"),
    "/middle": (res) => res.write("abc"),
    "/never": () => {},
    "/fault": (res) => res.stream.destroy(new RangeError("own")),
  };

  describe("requestLog on HTTP/2 without Express", () => {
    const stream = memoryStream();
    const log = requestLog({ stream, format: "json", serverTiming: true });
    let client: http2.ClientHttp2Session;
    const server = http2.createServer((req, res) => {
      log(req as never, res as never, () => HANDLERS[req.url]!(res));
      if (req.url === "/never") client.emit("arrived");
    });

    beforeAll(async () => {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      client.on("error", () => {});
    });
    afterAll(async () => {
      client.destroy();
      await new Promise((resolve) => server.close(resolve));
    });

    async function entryFor(path: string, leaveAt?: "data" | "arrived") {
      stream.lines.length = 0;
      const request = client.request({ ":path": path });
      request.on("error", () => {});
      const leave = () => request.close(http2.constants.NGHTTP2_CANCEL);
      if (leaveAt === "data") request.once("data", leave);
      else request.resume();
      if (leaveAt === "arrived") client.once("arrived", leave);
      await until(() => stream.lines.length > 0);
      return stream.entries[0];
    }

    it.each([
      ["/whole", 200, 5],
      ["/head", 201, 2],
    ])("%s is logged with its status and bytes", async (path, status, responseBytes) => {
      const entry = await entryFor(path);
      expect(entry).toMatchObject({
        path,
        status,
        responseBytes,
        httpVersion: "2.0",
        remoteAddress: "127.0.0.1",
      });
      expect(entry).not.toHaveProperty("aborted");
    });

    it("a stream that the client cancels is logged as aborted, before the head and after it", async () => {
      expect(await entryFor("/never", "arrived")).toMatchObject({ status: 499, aborted: true });
      expect(await entryFor("/middle", "data")).toMatchObject({
        status: 200,
        aborted: true,
        responseBytes: 3,
      });
    });

    it("a method that a client has made up is shortened like a path", async () => {
      const request = client.request({ ":path": "/whole", ":method": "X".repeat(3_000) });
      stream.lines.length = 0;
      request.on("error", () => {}).resume();
      await until(() => stream.lines.length > 0);
      expect(stream.entries[0]!.method).toBe(`${"X".repeat(1_024)}\u2026`);
    });

    it.each([
      "ecs",
      "otel",
    ] as const)("in schema %s the authority goes before a Host beside it", async (schema) => {
      const records = memoryStream();
      const inSchema = requestLog({ stream: records, schema });
      server.once("request", (req, res) => inSchema(req as never, res as never, () => {}));
      const request = client.request({
        ":path": "/whole",
        ":authority": "real.example:81",
        host: "b.example",
      });
      request.on("error", () => {}).resume();
      await until(() => records.lines.length > 0);
      const host = schema === "ecs" ? ["url.domain", "url.port"] : ["server.address", "server.port"];
      const record = records.entries[0] as unknown as Record<string, unknown>;
      expect(host.map((name) => record[name])).toEqual(["real.example", 81]);
    });

    it("a fault of the server is not logged as a client that left", async () => {
      const entry = await entryFor("/fault");
      expect(entry).toMatchObject({ status: 500, error: { type: "RangeError", message: "own" } });
      expect(entry).not.toHaveProperty("aborted");
    });
  });
});
