import { once } from "node:events";
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import express, { type Express } from "express";
import expressWs from "express-ws";
import { createProxyMiddleware } from "http-proxy-middleware";
import { Server as SocketIo } from "socket.io";
import { io } from "socket.io-client";
import { type ServerOptions, WebSocket, WebSocketServer } from "ws";
import { requestContext } from "../../../src/context/index.js";
import { requestLog } from "../../../src/request-log/index.js";
import { isTlsServer } from "../../../src/serve/connections.js";
import { type ServeOptions, serve } from "../../../src/serve/index.js";
import { certificate } from "../../support/certificate.js";
import { closeServers, listen, type RawExchange, raw, until } from "../../support/server.js";
import { closeInspectors, decisionOf, openInspector, sumOf } from "./support.js";

const clients = new Set<{ terminate(): void }>();
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const client of clients) client.terminate();
  clients.clear();
  for (const close of closing.splice(0)) await close();
  await closeInspectors();
  await closeServers();
});

function client(url: string): WebSocket {
  const socket = new WebSocket(url.replace("http", "ws"), { rejectUnauthorized: false });
  socket.on("error", () => {});
  clients.add(socket);
  return socket;
}

async function opened(url: string): Promise<WebSocket> {
  const socket = client(url);
  const [message] = await once(socket, "message");
  expect(String(message)).toBe("hello");
  return socket;
}

function helloServer(server: http.Server, options: ServerOptions = {}): void {
  const wss = new WebSocketServer({ server, ...options });
  wss.on("connection", (ws) => ws.send("hello"));
  closing.push(() => wss.close());
}

const ANSWERER = "an upgrade listener of the server";

const WAYS: Record<string, (app: Express) => Promise<http.Server>> = {
  serve: async (app) => {
    const served = await serve(app, {
      port: 0,
      host: "127.0.0.1",
      signals: false,
      drain: { deadlineMs: 100 },
    });
    closing.push(() => served.close());
    return served.server as http.Server;
  },
  "serve over TLS and HTTP/2": async (app) => {
    const options: ServeOptions = { port: 0, host: "127.0.0.1", signals: false, drain: { deadlineMs: 100 } };
    const served = await serve(app, { ...options, http2: true, tls: await certificate() });
    closing.push(() => served.close());
    return served.server as unknown as http.Server;
  },
  "app.listen": async (app) => {
    const server = app.listen(0, "127.0.0.1");
    await once(server, "listening");
    closing.push(() => server.close());
    return server;
  },
  "a listener that calls the app": async (app) => (await listen((req, res) => app(req, res))).server,
};

const urlOf = (server: http.Server) =>
  `${isTlsServer(server) ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`;

describe.each(Object.entries(WAYS))("with %s", (_way, start) => {
  it("a WebSocket of new WebSocketServer({ server }) is shown while it is open, and how long it was", async () => {
    const app = express();
    const server = await start(app);
    helloServer(server);
    const inspector = await openInspector(app);
    const socket = await opened(`${urlOf(server)}/chat?token=t`); // no request came before
    const open = await inspector.ended("/chat");
    expect(open.summary).toMatchObject({
      method: "GET",
      status: 101,
      outcome: "upgraded",
      answeredBy: ANSWERER,
    });
    expect(open.summary.query).toBe("token=REDACTED");
    expect(open.summary.openMs).toBeUndefined();
    expect(open.calls.map(({ kind, ending }) => [kind, ending])).toEqual([
      ["server", "holds"],
      ["upgrade listener", "answered"],
    ]);
    expect(sumOf(open)).toBeCloseTo(open.summary.totalMs!, 2);
    expect(decisionOf(open, "upgrade")).toMatch(
      /switched to websocket\. The request did not come to the app/,
    );
    expect(open.responseHeaders).toContainEqual({ name: "Upgrade", value: "websocket", setBy: [1] });
    socket.close();
    await once(socket, "close");
    const closed = await closedOf(inspector, "/chat");
    expect({ ...closed.summary, openMs: undefined }).toEqual(open.summary);
    expect(closed.calls).toEqual(open.calls);
  });
});

async function closedOf(inspector: Awaited<ReturnType<typeof openInspector>>, which: string | number) {
  for (let i = 0; i < 500; i++) {
    const detail = await inspector.ended(which);
    if (detail.summary.openMs !== undefined) return detail;
  }
  throw new Error(`${which} has not closed`);
}

describe("what is shown", () => {
  it("is the status that a listener refuses with, or that none has answered", async () => {
    const app = express();
    const { server, url, port } = await listen(app);
    helloServer(server, { path: "/only", verifyClient: () => false });
    server.on("upgrade", (req, socket: Socket) => {
      if (req.url === "/dropped") socket.destroy();
    });
    const inspector = await openInspector(app);
    const lines = (path: string, more: string) =>
      `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${more}\r\n`;
    const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    await raw(port, lines("/only", `${key}Sec-WebSocket-Version: 12\r\n`));
    await raw(port, lines("/elsewhere", `${key}Sec-WebSocket-Version: 13\r\n`));
    const refused = client(`${url}/only?allowed=no`);
    await new Promise((resolve) => refused.on("close", resolve));
    const details = await Promise.all([1, 2, 3].map((id) => inspector.ended(id)));
    expect(details.map(({ summary: { path, status, answeredBy } }) => [path, status, answeredBy])).toEqual([
      ["/only", 400, ANSWERER],
      ["/elsewhere", 400, ANSWERER],
      ["/only", 401, ANSWERER],
    ]);
    for (const detail of details) {
      expect(detail.decisions[0]).toMatchObject({ about: "upgrade", verdict: "refused" });
      expect(JSON.stringify(detail)).not.toMatch(/Sec-WebSocket-Version header|Unauthorized<|Invalid/); // ws's bodies
      expect(sumOf(detail)).toBeCloseTo(detail.summary.totalMs!, 2);
    }
  });

  it("is 444 for a connection that the server closes without an answer, and 499 for a client that leaves", async () => {
    const app = express();
    const { server, url } = await listen(app);
    const waiting: Socket[] = [];
    server.on("upgrade", (req, socket: Socket) => {
      socket.on("error", () => {});
      if (req.url === "/dropped") socket.destroy();
      else if (req.url === "/ended") socket.end();
      else waiting.push(socket.on("end", () => socket.end()));
      socket.resume();
    });
    const inspector = await openInspector(app);
    for (const path of ["/dropped", "/ended"]) client(url + path);
    const leaves = client(`${url}/left`);
    await until(() => waiting.length === 1);
    expect((await inspector.all()).requests.find(({ path }) => path === "/left")?.status).toBeUndefined();
    leaves.terminate();
    for (const [path, status, outcome] of [
      ["/left", 499, "aborted"],
      ["/dropped", 444, "truncated"],
      ["/ended", 444, "truncated"],
    ] as const) {
      const { summary } = await inspector.ended(path);
      expect(summary).toMatchObject({ status, outcome });
      expect(summary.answeredBy).toBeUndefined();
    }
  });

  it("has the redaction of the app's request log, and before any request no value of the query", async () => {
    const app = express();
    app.use(requestContext(), requestLog({ format: () => {}, redact: { query: ["pin"] } }));
    app.get("/", (_req, res) => void res.send("x"));
    const { server, url } = await listen(app);
    helloServer(server);
    const inspector = await openInspector(app);
    await opened(`${url}/first?pin=1&room=2`);
    expect((await inspector.ended("/first")).summary.query).toBe("pin=REDACTED&room=REDACTED");
    await (await fetch(url)).text();
    await inspector.ended("/");
    await opened(`${url}/second?pin=1&room=2`);
    expect((await inspector.ended("/second")).summary.query).toBe("pin=REDACTED&room=2");
  });

  it("is one request when a listener passes it to the app: express-ws, with serve too", async () => {
    for (const way of ["alone", "served"]) {
      const app = express();
      const server = http.createServer(app);
      expressWs(app, server);
      app.use(requestContext());
      (app as unknown as expressWs.Application).ws("/chat", function chat(ws) {
        ws.send("hello");
      });
      const inspector = await openInspector(app);
      const served =
        way === "served" ? serve(app, { server, signals: false, drain: { deadlineMs: 100 } }) : undefined;
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      closing.push(async () => (served === undefined ? server.close() : (await served).close()));
      await served;
      const socket = await opened(`${urlOf(server)}/chat`);
      const open = await inspector.ended(1);
      expect(open.summary).toMatchObject({ status: 101, outcome: "upgraded" });
      expect(open.summary.answeredBy).toMatch(/ of GET \/chat/);
      expect((await inspector.all()).requests.length).toBe(1);
      socket.close();
      await once(socket, "close");
      await closedOf(inspector, 1);
      expect((await inspector.all()).requests.length).toBe(1);
    }
  });
});

describe("a server that is not known to serve the app", () => {
  it("socket.io, whose client's requests never come to the app", async () => {
    const app = express();
    const { server, url } = await listen(app);
    const sockets = new SocketIo(server);
    sockets.on("connection", (socket) => socket.emit("hello"));
    closing.push(() => sockets.close());
    const inspector = await openInspector(app);
    for (const transports of [["websocket"], ["polling", "websocket"]]) {
      const socket = io(url, { transports, forceNew: true });
      const upgraded =
        transports.length === 1
          ? undefined
          : new Promise<void>((resolve) => socket.io.engine.once("upgrade", () => resolve()));
      await new Promise<void>((resolve) => socket.once("hello", resolve));
      await upgraded;
      socket.disconnect();
    }
    for (const id of [1, 2]) await closedOf(inspector, id);
    const { requests } = await inspector.all();
    expect(requests.map(({ path, status, answeredBy }) => [path, status, answeredBy])).toEqual([
      ["/socket.io/", 101, ANSWERER],
      ["/socket.io/", 101, ANSWERER],
    ]);
  });

  it("beside another server, is shown once a request has come to the app; the other server is not", async () => {
    const app = express();
    app.get("/", (_req, res) => void res.send("x"));
    const inspector = await openInspector(app);
    const servers = await Promise.all([
      listen((req, res) => app(req, res)),
      listen((_req, res) => void res.end("other")),
      listen(express()),
    ]);
    for (const { server, url } of servers) {
      helloServer(server);
      await (await fetch(url === servers[0].url ? servers[1].url : url)).text();
    }
    for (const [i, { url }] of servers.entries()) await opened(`${url}/chat${i}`);
    expect((await inspector.all()).requests).toEqual([]);
    await (await fetch(servers[0].url)).text();
    await inspector.ended("/");
    await opened(`${servers[1].url}/late`);
    const { requests } = await inspector.all();
    expect(requests.map(({ path, status }) => [path, status])).toEqual([
      ["/chat0", 101],
      ["/", 200],
    ]);
  });
});

describe("the app and its server", () => {
  it("behave as without an inspector, with listeners of 'upgrade' and without", async () => {
    const request = (path: string, upgrade: string) =>
      `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`;
    const start = async (hasListener: boolean, isInspected: boolean) => {
      const app = express();
      app.get(
        "/{*rest}",
        (req, res) => void res.set("Connection", "close").send(`app ${req.headers.upgrade}`),
      );
      const { server, port } = await listen(app);
      if (hasListener) {
        server.on("upgrade", (req, socket: Socket) => {
          closing.push(() => socket.destroy());
          if (req.url === "/end") socket.end("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n");
          else if (req.url === "/app") {
            const res = new http.ServerResponse(req);
            res.assignSocket(socket);
            app(req, res);
          } else {
            socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n");
            socket.end("echo");
          }
        });
      }
      if (isInspected) await openInspector(app);
      return port;
    };
    for (const hasListener of [false, true]) {
      const ports = [await start(hasListener, false), await start(hasListener, true)];
      for (const [path, upgrade] of [
        ["/end", "websocket"],
        ["/echo", "other"],
        ["/app", "h2c"],
      ] as const) {
        const [plain, inspected] = await Promise.all(ports.map((port) => raw(port, request(path, upgrade))));
        const comparable = ({ text, end }: RawExchange) => [text.replace(/^Date: .*\r\n/m, ""), end];
        expect(comparable(inspected!)).toEqual(comparable(plain!));
        expect(plain!.text).toMatch(hasListener && path !== "/app" ? /426|echo/ : /app/);
      }
    }
  });

  it("are as they were after close(), and connections that are open then go on", async () => {
    const app = express();
    const { server, url } = await listen(app);
    helloServer(server);
    const shape = () => [
      Reflect.ownKeys(server).map(String),
      Object.getOwnPropertyDescriptor(server, "emit"),
      server.eventNames().map((name) => [name, server.listenerCount(name)]),
    ];
    const accepted: Socket[] = [];
    server.on("connection", (socket) => accepted.push(socket));
    const before = shape();
    const plain = await opened(`${url}/before`);
    const inspector = await openInspector(app);
    const socket = await opened(`${url}/during`);
    await inspector.ended("/during");
    const pending = new WebSocketServer({ noServer: true });
    server.prependOnceListener("upgrade", (req, socket, head) => {
      server.removeAllListeners("upgrade");
      setTimeout(() => pending.handleUpgrade(req, socket, head, (ws) => ws.send("hello")), 50);
    });
    expect(Object.hasOwn(server, "emit")).toBe(true);
    const counts = (one: Socket) => one.eventNames().map((name) => [name, one.listenerCount(name)]);
    await inspector.close();
    expect(shape()[1]).toEqual(before[1]);
    expect(shape()[0]).toEqual(before[0]);
    expect(counts(accepted[1]!)).toEqual(counts(accepted[0]!));
    expect(Object.hasOwn(accepted[1]!, "write")).toBe(false);
    socket.ping();
    await once(socket, "pong");
    plain.terminate();
  });

  it("a proxy's WebSocket is shown, and works", async () => {
    const target = await listen(() => {});
    helloServer(target.server, { path: "/inner/chat" });
    const app = express();
    const proxy = createProxyMiddleware({
      target: target.url,
      ws: true,
      pathRewrite: { "^/outer": "/inner" },
    });
    app.use(proxy);
    const { server, url } = await listen(app);
    server.on("upgrade", proxy.upgrade);
    const inspector = await openInspector(app);
    const socket = await opened(`${url}/outer/chat`);
    expect((await inspector.ended("/outer/chat")).summary).toMatchObject({
      status: 101,
      answeredBy: ANSWERER,
    });
    socket.close();
    await once(socket, "close");
  });
});

it("of many upgrades the newest are kept, and nothing is left on the connections of the others", async () => {
  const app = express();
  const { server, url } = await listen(app);
  helloServer(server);
  const accepted: Socket[] = [];
  server.on("connection", (socket) => accepted.push(socket));
  const inspector = await openInspector(app, { keep: 2 });
  for (let i = 0; i < 5; i++) await opened(`${url}/${i}`);
  expect((await inspector.all()).requests.map(({ path }) => path)).toEqual(["/3", "/4"]);
  const counts = accepted.map((socket) => socket.listenerCount("close"));
  expect(counts[0]).toBe(counts[4]! - 1);
});
