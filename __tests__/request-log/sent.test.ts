import http from "node:http";
import { Readable } from "node:stream";
import compression from "compression";
import type express from "express";
import request from "supertest";
import { type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { memoryStream } from "./memory.js";

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
        (res, done) => void (res as unknown as http.IncomingMessage).resume().on("end", () => done(null, "")),
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
