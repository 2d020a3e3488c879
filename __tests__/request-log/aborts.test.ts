import http from "node:http";
import net from "node:net";
import { pipeline, Readable } from "node:stream";
import { AbortRequest, recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { memoryStream } from "./memory.js";

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
    expect(stream.entries).toEqual([expect.objectContaining({ method: "POST", status: 499, aborted: true })]);
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
      expect.objectContaining({ status: 200, level: "error", error: { type: "Error", message: "upstream" } }),
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
      expect.objectContaining({ status: 200, level: "error", error: { type: "TypeError", message: "late" } }),
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
