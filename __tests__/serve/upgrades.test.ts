import { EventEmitter, once } from "node:events";
import http from "node:http";
import type { Duplex } from "node:stream";
import express, { type Express } from "express";
import expressWs from "express-ws";
import { Server as SocketIoServer } from "socket.io";
import { io, type Socket } from "socket.io-client";
import { WebSocket, WebSocketServer } from "ws";
import { around, type Outcome } from "../../src/chain/index.js";
import { contextOf, requestContext } from "../../src/context/index.js";
import { recover } from "../../src/recover/index.js";
import { type RequestLogEntry, requestLog } from "../../src/request-log/index.js";
import { timeout } from "../../src/timeout/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, until } from "../support/server.js";
import { begin, closeAll, Wire } from "./support.js";

const clients = new Set<{ terminate(): void }>();
afterEach(async () => {
  for (const client of clients) client.terminate();
  clients.clear();
  await closeAll();
  await closeServers();
});

interface Scene {
  readonly port: number;
  readonly server: http.Server;
  readonly entries: RequestLogEntry[];
  readonly outcomes: Outcome[];
  readonly errors: unknown[];
  close(): Promise<unknown>;
}

type Way = "serve" | "app.listen";

/** An app with the usual middleware; `wire` adds the tested handlers to the app and to its server. */
async function scene(
  way: Way,
  wire: (app: Express) => ((server: http.Server) => void) | undefined,
): Promise<Scene> {
  const entries: RequestLogEntry[] = [];
  const outcomes: Outcome[] = [];
  const { entries: errors, ...logger } = memoryLogger();
  const app = express();
  app.set("env", "test");
  app.use(requestContext());
  app.use(logInto(entries));
  app.use(
    around(async (_req, _res, next) => {
      outcomes.push(await next());
    }),
  );
  const attach = wire(app);
  app.use(recover({ logger }));
  if (way === "serve") {
    const { served, port } = await begin("http", { drain: { idleGraceMs: 10, deadlineMs: 300 } }, app);
    attach?.(served.server as http.Server);
    return {
      port,
      server: served.server as http.Server,
      entries,
      outcomes,
      errors,
      close: () => served.close(),
    };
  }
  const { server, port, close } = await listen(app);
  attach?.(server);
  return { port, server, entries, outcomes, errors, close };
}

function logInto(entries: RequestLogEntry[]) {
  return requestLog({ format: (entry) => void entries.push(entry) });
}

/** Opens a WebSocket, and waits for its first message. */
async function open(port: number, path = "/"): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  clients.add(socket);
  socket.on("error", () => {});
  await once(socket, "message");
  return socket;
}

async function closeOf(socket: WebSocket): Promise<number> {
  const [code] = await once(socket, "close");
  return code as number;
}

/** The ways to use WebSockets with Express. */
const KINDS: Record<
  string,
  (
    app: Express,
    handler: (ws: WebSocket, req: http.IncomingMessage) => void,
  ) => ReturnType<Parameters<typeof scene>[1]>
> = {
  "ws, by handleUpgrade in a handler": (app, handler) => {
    const wss = new WebSocketServer({ noServer: true });
    app.get("/", (req) =>
      wss.handleUpgrade(req, req.socket, Buffer.alloc(0), (ws) => handler(ws as never, req)),
    );
    return undefined;
  },
  "ws, by the app from a listener of 'upgrade'": (app, handler) => {
    const wss = new WebSocketServer({ noServer: true });
    app.get("/", (req) =>
      wss.handleUpgrade(req, req.socket, Buffer.alloc(0), (ws) => handler(ws as never, req)),
    );
    return (server) => {
      server.on("upgrade", (req, socket) => {
        const res = new http.ServerResponse(req);
        res.assignSocket(socket as never);
        app(req as never, res as never);
      });
    };
  },
  "express-ws": (app, handler) => {
    const later = new EventEmitter(); // for the server that does not exist yet
    expressWs(app, later as never);
    (app as unknown as expressWs.Application).ws("/", (ws, req) => handler(ws as never, req));
    return (server) => {
      for (const listener of later.listeners("upgrade")) server.on("upgrade", listener as never);
    };
  },
};

const CASES = (["serve", "app.listen"] as const).flatMap((way) =>
  Object.entries(KINDS).map(([name, kind]) => ({ name, way, kind })),
);

describe.each(CASES)("$name, with $way", ({ way, kind }) => {
  it("is 101 in the log and not aborted; its signal aborts when its socket closes", async () => {
    const signals: AbortSignal[] = [];
    const { port, entries, outcomes } = await scene(way, (app) =>
      kind(app, (ws, req) => {
        signals.push(contextOf(req).signal);
        ws.on("message", (text) => ws.send(`echo ${text}`));
        ws.send("welcome");
      }),
    );
    const socket = await open(port);
    for (const text of ["one", "two"]) {
      socket.send(text);
      const [echo] = await once(socket, "message");
      expect(String(echo)).toBe(`echo ${text}`);
    }
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    expect(entries).toEqual([]); // one record, at the end
    socket.close(1000);
    expect(await closeOf(socket)).toBe(1000);
    await until(() => entries.length === 1 && outcomes.length === 1);
    expect(entries[0]).toMatchObject({ method: "GET", status: 101, level: "info", aborted: undefined });
    expect(outcomes[0]).toMatchObject({ status: 101, aborted: false });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it("is 101 and not aborted when its client leaves without a closing handshake", async () => {
    const { port, entries } = await scene(way, (app) => kind(app, (ws) => ws.send("welcome")));
    (await open(port)).terminate();
    await until(() => entries.length === 1);
    expect(entries[0]).toMatchObject({ status: 101, aborted: undefined, error: undefined });
  });

  it("is closed when its handler throws, and recover logs it; no HTTP is written to it", async () => {
    const { port, entries, errors } = await scene(way, (app) =>
      kind(app, () => {
        throw new Error("thrown in the handler");
      }),
    );
    const text = await handshake(port);
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(text).toContain("101 Switching Protocols");
    await until(() => entries.length === 1);
    expect(entries[0]).toMatchObject({
      status: 101,
      level: "error",
      error: { message: "thrown in the handler" },
    });
    expect(errors).toHaveLength(1);
  });
});

/** What a raw client receives until the connection ends. It answers no closing handshake. */
async function handshake(port: number, fields = ""): Promise<string> {
  const wire = await Wire.to(port);
  wire.get(
    "/",
    `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${fields}`,
  );
  await wire.ended();
  return wire.text;
}

describe.each(["serve", "app.listen"] as const)("with %s", (way) => {
  it("a handshake that is refused by hand has that status in the log", async () => {
    const { port, entries } = await scene(way, (app) => {
      const wss = new WebSocketServer({ noServer: true, verifyClient: () => false });
      app.get("/", (req) => wss.handleUpgrade(req, req.socket, Buffer.alloc(0), () => {}));
      return undefined;
    });
    expect(await handshake(port)).toContain("401 Unauthorized");
    await until(() => entries.length === 1);
    expect(entries[0]).toMatchObject({ status: 401, aborted: undefined });
  });

  it("a client that leaves before its handshake is answered is 499 and aborted", async () => {
    const { port, entries } = await scene(way, (app) => {
      app.get("/", () => {});
      return (server) => {
        server.on("upgrade", (req, socket) => {
          const res = new http.ServerResponse(req);
          res.assignSocket(socket as never);
          socket.on("end", () => socket.destroy()).resume();
          app(req as never, res as never);
        });
      };
    });
    const wire = await Wire.to(port);
    wire.get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    await until(() => wire.socket.bytesWritten > 0);
    setTimeout(() => wire.socket.end(), 30);
    await until(() => entries.length === 1);
    expect(entries[0]).toMatchObject({ status: 499, aborted: true });
  });

  it("a request that only offers another protocol is a request like any other", async () => {
    const { port, entries } = await scene(way, (app) => {
      app.get("/whole", (_req, res) => void res.send("whole"));
      app.get("/stream", (_req, res) => void res.write("begun"));
      return undefined;
    });
    const wire = await Wire.to(port);
    await wire.get("/whole", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n").heard("whole");
    await wire.get("/whole").heard("whole");
    await wire.get("/stream", "Connection: Upgrade\r\nUpgrade: h2c\r\n").heard("begun");
    wire.socket.destroy();
    await until(() => entries.length === 3);
    expect(entries.map(({ path, status, aborted }) => [path, status, aborted])).toEqual([
      ["/whole", 200, undefined],
      ["/whole", 200, undefined],
      ["/stream", 200, true],
    ]);
  });

  it("a deadline writes nothing to a connection that was taken over", async () => {
    const { port } = await scene(way, (app) => {
      const wss = new WebSocketServer({ noServer: true });
      app.get("/", timeout(30), (req) => {
        wss.handleUpgrade(req, req.socket, Buffer.alloc(0), (ws) => {
          ws.on("message", (text) => ws.send(String(text)));
          ws.send("welcome");
        });
      });
      return undefined;
    });
    const socket = await open(port);
    await new Promise((resolve) => setTimeout(resolve, 80));
    socket.send("still here");
    const [text] = await once(socket, "message");
    expect(String(text)).toBe("still here");
  });

  it("the signal of an upgrade that no middleware has seen aborts when its socket closes", async () => {
    const signals: AbortSignal[] = [];
    const { port } = await scene(way, () => (server) => {
      new WebSocketServer({ server }).on("connection", (ws, req) => {
        signals.push(contextOf(req).signal);
        ws.send("welcome");
      });
    });
    const socket = await open(port);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    socket.close();
    await until(() => signals[0]!.aborted);
  });

  it("socket.io's requests are logged by io.engine.use: 200 for its polls, 101 for its WebSockets", async () => {
    const entries: RequestLogEntry[] = [];
    const { port } = await scene(way, () => (server) => {
      const sockets = attach(server);
      sockets.engine.use(requestContext());
      sockets.engine.use(logInto(entries));
      sockets.on("connection", (socket) => socket.on("ping me", (answer) => answer("pong")));
    });
    for (const transport of ["websocket", "polling"]) {
      const client = connect(port, transport);
      expect(await client.emitWithAck("ping me")).toBe("pong");
      client.disconnect();
      const name = transport === "websocket" ? 101 : 200;
      await until(() => entries.some(({ status }) => status === name));
    }
    expect(entries.filter(({ status, aborted }) => ![101, 200].includes(status) || aborted)).toEqual([]);
  });
});

/** The polls that wait for an event. */
function pollsOf(server: http.Server): Set<http.ServerResponse> {
  const polls = new Set<http.ServerResponse>();
  server.on("request", (req: http.IncomingMessage, res: http.ServerResponse) => {
    if (req.method !== "GET") return;
    polls.add(res);
    res.on("close", () => polls.delete(res));
  });
  return polls;
}

function connect(port: number, transport: string): Socket {
  const client = io(`http://127.0.0.1:${port}`, {
    transports: [transport],
    reconnection: false,
    forceNew: true,
  });
  clients.add({ terminate: () => void client.disconnect() });
  return client;
}

function attach(server: http.Server): SocketIoServer {
  const sockets = new SocketIoServer(server);
  // Otherwise it waits half a minute for another poll of a disconnected client, also after its server has closed.
  sockets.engine.on("connection", ({ transport }: { transport: { closeTimeout?: number } }) => {
    transport.closeTimeout = 50;
  });
  clients.add({ terminate: () => void sockets.close() });
  return sockets;
}

describe("a shutdown with WebSockets", () => {
  it.each([
    "/ws",
    "/express-ws",
  ])("that are closed when it begins (%s) is not forced, and does not wait for the deadline", async (path) => {
    const app = express();
    const later = new EventEmitter();
    expressWs(app, later as never);
    const gone: number[] = [];
    const greet = (ws: WebSocket, req: http.IncomingMessage) => {
      contextOf(req).closing.addEventListener("abort", () => ws.close(1001, "The server is closing"));
      ws.on("close", (code) => gone.push(code));
      ws.send("welcome");
    };
    (app as unknown as expressWs.Application).ws("/express-ws", (ws, req) => greet(ws as never, req));
    const { served, port } = await begin("http", { drain: { idleGraceMs: 10, deadlineMs: 10_000 } }, app);
    const wss = new WebSocketServer({ noServer: true });
    served.server.on("upgrade", (req: http.IncomingMessage, socket: Duplex, head: Buffer) => {
      if (req.url === "/ws") wss.handleUpgrade(req, socket, head, (ws) => greet(ws as never, req));
      else for (const listener of later.listeners("upgrade")) listener(req, socket, head);
    });
    const socket = await open(port, path);
    const closed = closeOf(socket);
    const report = await served.close();
    expect(gone).toEqual([1001]); // what the program does at the end of a socket is done
    expect(await closed).toBe(1001);
    expect(report.forced).toBe(false);
    expect(report.durationMs).toBeLessThan(5_000);
  });

  it.each([
    "websocket",
    "polling",
  ])("of socket.io (%s) is not forced if served.closing disconnects them", async (transport) => {
    const { served, port } = await begin(
      "http",
      { drain: { idleGraceMs: 10, deadlineMs: 10_000 } },
      express(),
    );
    const sockets = attach(served.server as http.Server);
    const polls = pollsOf(served.server as http.Server);
    served.closing.addEventListener("abort", () => sockets.disconnectSockets(true));
    const client = connect(port, transport);
    await once(client as never, "connect");
    if (transport === "polling") await until(() => polls.size === 1);
    const left = once(client as never, "disconnect");
    const report = await served.close();
    expect(report.forced).toBe(false);
    expect(report.durationMs).toBeLessThan(5_000);
    expect((await left)[0]).toBe("io server disconnect");
  });

  it("that are reset at the deadline is over when they have emitted 'close'", async () => {
    const entries: RequestLogEntry[] = [];
    const app = express();
    app.use(requestContext(), logInto(entries));
    const wss = new WebSocketServer({ noServer: true });
    const gone: number[] = [];
    app.get("/", (req) =>
      wss.handleUpgrade(req, req.socket, Buffer.alloc(0), (ws) => {
        ws.on("close", (code) => gone.push(code));
        ws.on("error", () => {});
        ws.send("welcome");
      }),
    );
    const { served, port } = await begin("http", { drain: { idleGraceMs: 10, deadlineMs: 100 } }, app);
    await open(port);
    expect((await served.close()).forced).toBe(true);
    expect(gone).toEqual([1006]);
    expect(entries).toEqual([expect.objectContaining({ status: 101 })]);
  });

  it("a poll of socket.io is a request under way: the report tells its loss at the deadline", async () => {
    const { served, port } = await begin("http", { drain: { idleGraceMs: 10, deadlineMs: 200 } }, express());
    attach(served.server as http.Server);
    const polls = pollsOf(served.server as http.Server);
    const client = connect(port, "polling");
    await once(client as never, "connect");
    await until(() => polls.size === 1);
    const left = once(client as never, "disconnect");
    const report = await served.close();
    expect(report.forced).toBe(true);
    expect(report.durationMs).toBeGreaterThanOrEqual(199);
    await left;
    await new Promise((resolve) => setTimeout(resolve, 30)); // socket.io's own last messages
  });
});
