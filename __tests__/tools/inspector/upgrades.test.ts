import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import expressWs from "express-ws";
import { WebSocket, WebSocketServer } from "ws";
import { requestContext } from "../../../src/context/index.js";
import { type RequestLogEntry, requestLog } from "../../../src/request-log/index.js";
import { serve } from "../../../src/serve/index.js";
import { closeServers, listen, until } from "../../support/server.js";
import { callOf, closeInspectors, openInspector, sumOf } from "./support.js";

const clients = new Set<WebSocket>();
afterEach(async () => {
  for (const client of clients) client.terminate();
  clients.clear();
  await closeInspectors();
  await closeServers();
});

async function connect(port: number, path: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  clients.add(socket);
  const [message] = await once(socket, "message");
  expect(String(message)).toBe("hello");
  return socket;
}

function logged() {
  const entries: RequestLogEntry[] = [];
  return { entries, log: requestLog({ format: (entry) => void entries.push(entry) }) };
}

describe.each(["serve", "app.listen"])("a request that becomes a WebSocket, with %s", (way) => {
  it("is shown as 101 while it is open: ws in a handler, with the time until the switch", async () => {
    const app = express();
    const { entries, log } = logged();
    app.use(requestContext(), log);
    const wss = new WebSocketServer({ noServer: true });
    app.get("/chat", async function chat(req) {
      await new Promise(setImmediate);
      wss.handleUpgrade(req, req.socket, Buffer.alloc(0), (ws) => ws.send("hello"));
    });
    const inspector = await openInspector(app);
    const served =
      way === "serve" ? await serve(app, { port: 0, host: "127.0.0.1", signals: false }) : undefined;
    const port = served ? (served.server.address() as AddressInfo).port : (await listen(app)).port;
    try {
      const socket = await connect(port, "/chat");
      const open = await inspector.ended("/chat");
      expect(open.summary).toMatchObject({
        status: 101,
        outcome: "upgraded",
        answeredBy: "chat of GET /chat",
      });
      expect(callOf(open, "chat").ending).toBe("answered");
      expect(open.decisions[0]).toMatchObject({ about: "upgrade" });
      expect(open.record).toBeUndefined();
      socket.close();
      await once(socket, "close");
      await until(() => entries.length === 1);
      const closed = await recorded(inspector);
      // How long it was open is not the request's time.
      expect(open.summary.openMs).toBeUndefined();
      expect(closed.summary).toEqual({ ...open.summary, openMs: expect.any(Number) });
      expect(closed.calls).toEqual(open.calls);
      expect(sumOf(closed)).toBeCloseTo(closed.summary.totalMs!, 1);
    } finally {
      for (const client of clients) client.terminate();
      await served?.close();
    }
  });

  async function recorded(inspector: Awaited<ReturnType<typeof openInspector>>) {
    for (let i = 0; i < 500; i++) {
      const detail = await inspector.ended("/chat");
      if (detail.record !== undefined) return detail;
    }
    throw new Error("no record");
  }
});

it("express-ws, which calls the app after the switch: the handler that has the connection answered", async () => {
  const app = express();
  const server = http.createServer(app);
  expressWs(app, server);
  const { entries, log } = logged();
  app.use(requestContext(), log);
  (app as unknown as expressWs.Application).ws("/chat", function chat(ws) {
    ws.send("hello");
  });
  const inspector = await openInspector(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const socket = await connect((server.address() as AddressInfo).port, "/chat");
    const open = await inspector.ended(1);
    expect(open.summary).toMatchObject({ status: 101, outcome: "upgraded" });
    expect(open.summary.answeredBy).toMatch(/ of GET \/chat/);
    expect(sumOf(open)).toBeCloseTo(open.summary.totalMs!, 1);
    const { requests } = await inspector.all();
    expect(requests.filter(({ status }) => status === undefined)).toEqual([]);
    socket.close();
    await once(socket, "close");
    await until(() => entries.length === 1);
    expect((await inspector.ended(1)).summary.totalMs).toBe(open.summary.totalMs);
  } finally {
    for (const client of clients) client.terminate();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

it("a refusal that ws writes to the connection is shown with its status and who wrote it", async () => {
  const app = express();
  app.use(requestContext());
  const wss = new WebSocketServer({ noServer: true, verifyClient: () => false });
  app.get("/chat", function chat(req) {
    wss.handleUpgrade(req, req.socket, Buffer.alloc(0), () => {});
  });
  const inspector = await openInspector(app);
  const { port } = await listen(app);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
  clients.add(socket);
  socket.on("error", () => {});
  await new Promise((resolve) => socket.on("close", resolve));
  const { summary } = await inspector.ended("/chat");
  expect(summary).toMatchObject({ status: 401, answeredBy: "chat of GET /chat" });
});
