import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { promisify } from "node:util";
import compression from "compression";
import express, { type RequestHandler } from "express";
import session from "express-session";
import request from "supertest";
import { requestContext } from "../../src/context/index.js";
import { AbortRequest, type RecoverOptions, recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, leastFirstByteMs, listen, raw, until } from "../support/server.js";

describe("over the wire", () => {
  afterEach(closeServers);

  const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

  function serve(handler: RequestHandler, options: RecoverOptions = {}) {
    const logger = memoryLogger();
    const app = express();
    app.use(requestContext());
    app.get("/fine", (_req, res) => void res.send("fine"));
    app.use(handler);
    app.use(recover({ logger, ...options }));
    return listen(app).then((server) => ({ ...server, logger }));
  }

  const boom: RequestHandler = () => {
    throw new Error("boom");
  };

  describe("after the head was sent", () => {
    const begun: [string, RequestHandler][] = [
      ["a chunked response", (_req, res) => void res.write("part")],
      ["a response with a length", (_req, res) => void res.set("Content-Length", "100").write("part")],
      ["a flushed head", (_req, res) => res.flushHeaders()],
      ["an event stream", (_req, res) => void res.type("text/event-stream").write("data: 1\n\n")],
    ];
    const request = { "HTTP/1.1": GET, "HTTP/1.0": "GET / HTTP/1.0\r\n\r\n" };

    it.each(
      begun.flatMap(([name, begin]) =>
        Object.entries(request).map(([v, text]) => [name, v, begin, text] as const),
      ),
    )("%s over %s is truncated by a reset", async (_name, _version, begin, text) => {
      const server = await serve(async (req, res, next) => {
        begin(req, res, next);
        await new Promise((resolve) => setTimeout(resolve, 5));
        throw new Error("half-way");
      });
      const answer = await raw(server.port, text);
      expect(answer.end).toBe("reset");
      expect(answer.text).not.toMatch(/\r\n0\r\n\r\n$/);
      expect(server.logger.entries.map((entry) => entry.message)).toEqual([
        "request failed after its response had begun; the response was truncated: GET /: half-way",
      ]);
    });

    it("a synchronous throw truncates it too", async () => {
      const server = await serve((_req, res) => {
        res.write("part");
        throw new Error("at once");
      });
      expect((await raw(server.port, GET)).end).toBe("reset");
    });

    it("a throw after the end leaves the answer whole and the connection open for the next request", async () => {
      const server = await serve((_req, res) => {
        res.send("whole");
        throw new Error("after");
      });
      const { text, end } = await raw(server.port, [GET + GET.replace("/ ", "/fine ")]);
      expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
      expect(text).toMatch(/whole.*fine$/s);
      expect(end).toBe("quiet");
      expect(server.logger.entries).toHaveLength(1);
    });
  });

  describe("an upload", () => {
    const head = (length: number, more = "") =>
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n${more}\r\n`;

    it("that stalls is answered at once, and the connection is closed after lingerMs", async () => {
      const server = await serve(boom, { lingerMs: 60 });
      const answer = await raw(server.port, `${head(1000)}abc`);
      expect(answer.text).toMatch(/^HTTP\/1\.1 500 /);
      const again = () => raw(server.port, `${head(1000)}abc`);
      expect(await leastFirstByteMs(again)).toBeLessThan(50);
      expect(answer.end).toBe("fin");
    });

    it("that a body parser waits for is answered when something else fails", async () => {
      const server = await serve((req, _res, next) => {
        req.on("data", () => {});
        setImmediate(() => next(new Error("meanwhile")));
      });
      const answer = await raw(server.port, `${head(100_000)}abc`);
      expect(answer.text).toMatch(/^HTTP\/1\.1 500 /);
    });

    it("that expects 100-continue gets its 500 without sending a body", async () => {
      const server = await serve(boom);
      const { text } = await raw(server.port, head(100_000, "Expect: 100-continue\r\n"));
      expect(text).toMatch(/HTTP\/1\.1 500 /);
    });

    it("of 8 MB that is not read: a client that writes first can still read the 500", async () => {
      const server = await serve(boom);
      const status = await new Promise((resolve, reject) => {
        const req = http.request({ port: server.port, host: "127.0.0.1", method: "POST" }, (res) => {
          res.resume();
          resolve(res.statusCode);
        });
        req.on("error", reject);
        req.end(Buffer.alloc(8_000_000));
      });
      expect(status).toBe(500);
    });

    it("is read for lingerMs, and no longer, after the response", async () => {
      const server = await serve(boom, { lingerMs: 40 });
      const req = http.request({
        port: server.port,
        host: "127.0.0.1",
        method: "POST",
        headers: { "Content-Length": 1e9 },
      });
      const closed = new Promise((resolve) => req.on("close", resolve));
      req.on("error", () => {});
      req.write("x");
      await closed;
      await until(() => connections(server.server) === 0);
    });

    it("of a few late bytes keeps the connection, after a 4xx", async () => {
      const server = await serve(() => {
        throw Object.assign(new Error(), { status: 409 });
      });
      const { text } = await raw(server.port, [head(5), "abcde", GET.replace("/ ", "/fine ")]);
      expect(text).toMatch(/^HTTP\/1\.1 409 .*HTTP\/1\.1 200 .*fine$/s);
    });

    it("that is large and refused with a 4xx ends its connection", async () => {
      const server = await serve(
        () => {
          throw Object.assign(new Error(), { status: 413 });
        },
        { lingerMs: 30 },
      );
      const { text, end } = await raw(server.port, `${head(10_000_000)}abc`);
      expect(text).toMatch(/^HTTP\/1\.1 413 .*Connection: close/s);
      expect(end).toBe("fin");
    });

    it.each([
      ["curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-"]],
    ])("from %s gets its 500", async (client, args) => {
      const server = await serve(boom);
      const run = promisify(execFile)(client, [...args, server.url]);
      run.child.stdin?.on("error", () => {});
      run.child.stdin?.end(Buffer.alloc(8_000_000));
      expect((await run).stdout).toBe("500");
    });
  });

  describe("pipelined requests", () => {
    it("after the one that fails are not processed", async () => {
      const seen: string[] = [];
      const server = await serve((req) => {
        seen.push(req.url);
        throw new Error("boom");
      });
      const { text } = await raw(
        server.port,
        GET + GET.replace("/ ", "/two ") + GET.replace("/ ", "/three "),
      );
      expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
      expect(seen).toEqual(["/"]);
    });

    it("before it get their answers first", async () => {
      const server = await serve(async (req, res) => {
        if (req.url === "/slow") {
          await new Promise((resolve) => setTimeout(resolve, 20));
          res.send("slow");
        } else throw new Error("boom");
      });
      const { text } = await raw(server.port, GET.replace("/ ", "/slow ") + GET);
      expect(text).toMatch(/^HTTP\/1\.1 200 .*slow.*HTTP\/1\.1 500 /s);
    });
  });

  describe("AbortRequest", () => {
    it.each([
      ["before the head", false],
      ["after the head", true],
    ])("%s drops the connection without an answer and without a log", async (_name, begun) => {
      const onError = jest.fn();
      const server = await serve(
        async (_req, res) => {
          if (begun) res.write("part");
          await new Promise((resolve) => setTimeout(resolve, 5));
          throw new AbortRequest();
        },
        { onError },
      );
      const { text, end } = await raw(server.port, GET);
      expect(end).toBe("reset");
      expect(text).not.toContain("HTTP/1.1 500");
      expect(server.logger.entries).toEqual([]);
      expect(onError).not.toHaveBeenCalled();
    });
  });

  it("writes nothing for a client that has left, and logs the error as aborted", async () => {
    let left: () => void;
    const gone = new Promise<void>((resolve) => {
      left = resolve;
    });
    const server = await serve(async (_req, res) => {
      res.on("close", () => left());
      await gone;
      throw new Error("after the client has left");
    });
    const req = http.get(server.url).on("error", () => {});
    await until(() => connections(server.server) === 1);
    setTimeout(() => req.destroy(), 10);
    await until(() => server.logger.entries.length === 1);
    expect(server.logger.entries[0]).toMatchObject({ level: "info", fields: { aborted: true, status: 500 } });
  });

  it("writes no HTTP onto an upgraded connection: it is dropped", async () => {
    const app = express();
    app.use(boom);
    app.use(recover({ logger: memoryLogger() }));
    const server = await listen(app);
    server.server.on("upgrade", (req, socket) => {
      const res = new http.ServerResponse(req);
      res.assignSocket(socket as never);
      app(req as never, res as never);
    });
    const { text, end } = await raw(
      server.port,
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    expect(text).toBe("");
    expect(end).toBe("reset");
  });

  it("over HTTP/2 answers without connection headers, and truncates a begun response with INTERNAL_ERROR", async () => {
    const handler = recover.wrap(
      (req, res) => {
        if (req.url === "/begun") res.write("part");
        throw new Error("h2");
      },
      { logger: memoryLogger(), close: "never" },
    ) as unknown as (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse) => void;
    const server = http2.createServer(handler);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const get = (path: string) =>
      new Promise<Record<string, unknown>>((resolve) => {
        const stream = session.request({ ":path": path });
        const seen: Record<string, unknown> = {};
        stream.on("response", (headers) => Object.assign(seen, headers));
        stream.on("error", () => {});
        stream.on("close", () => resolve({ ...seen, rst: stream.rstCode }));
        stream.resume();
      });
    expect(await get("/")).toMatchObject({ ":status": 500, rst: 0, "cache-control": "no-store" });
    expect(await get("/begun")).toMatchObject({ rst: http2.constants.NGHTTP2_INTERNAL_ERROR });
    session.close();
    await new Promise((resolve) => server.close(resolve));
  });

  function connections(server: http.Server): number {
    // biome-ignore lint/suspicious/noExplicitAny: the count is otherwise only to be had through a callback
    return (server as any)._connections;
  }
});

describe("with other middleware", () => {
  let tlsServer: https.Server | undefined;
  afterEach(async () => {
    tlsServer?.closeAllConnections();
    await new Promise<unknown>((resolve) =>
      tlsServer === undefined ? resolve(undefined) : tlsServer.close(resolve),
    );
    tlsServer = undefined;
    await closeServers();
  });

  const LONG = "x".repeat(5_000);

  describe("behind compression", () => {
    const app = express();
    app.use(compression());
    app.get("/before", (_req, res) => {
      res.set({ "Content-Encoding": "gzip", "Content-Type": "text/plain" });
      throw new Error("before the head");
    });
    app.get("/after", async (_req, res) => {
      res.type("text/plain").write(LONG);
      await new Promise((resolve) => setTimeout(resolve, 5));
      throw new Error("after the head");
    });
    app.use(recover({ logger: memoryLogger() }));

    it.each([
      undefined,
      "identity",
      "gzip",
    ])("an error before the head is a readable 500 (Accept-Encoding %s)", async (encoding) => {
      const call = request(app).get("/before");
      const res = await (encoding === undefined ? call : call.set("Accept-Encoding", encoding)).expect(500);
      expect(res.body).toMatchObject({ status: 500 }); // superagent has decoded it, if it was encoded
      if (encoding === "identity") expect(res.headers).not.toHaveProperty("content-encoding");
    });

    it("an error after it truncates the response", async () => {
      const server = await listen(app);
      const { text, end } = await raw(
        server.port,
        "GET /after HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
      );
      expect(end).toBe("reset");
      expect(text).not.toContain("0\r\n\r\n");
    });
  });

  it("keeps the cookie of express-session on the error's answer", async () => {
    const app = express();
    app.use(session({ secret: "s", resave: false, saveUninitialized: true }));
    app.get("/", () => {
      throw new Error("no");
    });
    app.use(recover({ logger: memoryLogger() }));
    const res = await request(app).get("/").expect(500);
    expect(res.headers["set-cookie"]).toEqual([expect.stringContaining("connect.sid")]);
  });

  it("over TLS, a truncated response does not look complete", async () => {
    const folder = mkdtempSync(join(tmpdir(), "portico-tls-"));
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const wanted = [
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "1",
      "-subj",
      "/CN=localhost",
      "-keyout",
      key,
      "-out",
      cert,
    ];
    execFileSync("openssl", ["req", "-x509", ...wanted], { stdio: "ignore" });
    const app = express();
    // The client must have read this part: when data and a reset arrive together, libuv reports a regular end.
    let partRead = () => {};
    app.get("/", async (_req, res) => {
      const read = new Promise<void>((resolve) => {
        partRead = resolve;
      });
      res.write("part");
      await read;
      throw new Error("half-way");
    });
    app.use(recover({ logger: memoryLogger() }));
    const server = (tlsServer = https.createServer(
      { key: readFileSync(key), cert: readFileSync(cert) },
      app,
    ));
    rmSync(folder, { recursive: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;

    const outcome = await new Promise<string>((resolve) => {
      const req = https.get({ port, host: "127.0.0.1", rejectUnauthorized: false }, (res) => {
        res.on("data", () => partRead());
        res.on("end", () => resolve("whole"));
        res.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      });
      req.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
    expect(outcome).toBe("ECONNRESET");

    // HTTP/1.0 shows the end of a body only by the end of the connection, which must not be clean.
    const ended = await new Promise<string>((resolve) => {
      const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () =>
        socket.write("GET / HTTP/1.0\r\n\r\n"),
      );
      let clean = false;
      socket.on("data", () => partRead());
      socket.on("end", () => {
        clean = true;
      });
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.on("close", () => resolve(clean ? "clean" : "truncated"));
    });
    expect(["ECONNRESET", "truncated"]).toContain(ended);
  });
});
