import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo } from "node:net";
import express, { type Response } from "express";
import { Server as SocketIoServer } from "socket.io";
import { io } from "socket.io-client";
import type { ServeOptions } from "../../src/serve/index.js";
import { serve } from "../../src/serve/index.js";
import { certificate } from "../support/certificate.js";
import { ask, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { closeAll, refusal, Wire } from "./support.js";

const closings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await closeHttp2();
  await closeAll();
  await Promise.all(closings.splice(0).map((close) => close()));
});

const PROBES = { live: "/livez", ready: "/readyz" };

async function given(server: ServeOptions["server"], app: express.Express) {
  server!.listen(0, "127.0.0.1");
  const { entries, ...logger } = memoryLogger();
  const served = await serve(app, {
    server,
    signals: false,
    onUncaught: false,
    logger,
    probes: PROBES,
    drain: { idleGraceMs: 30, deadlineMs: 5_000 },
  });
  closings.push(() => served.close());
  return { served, port: (server!.address() as AddressInfo).port, entries };
}

function appWith(held: Response[]): express.Express {
  const app = express();
  app.set("env", "test");
  let count = 0;
  app.get("/count", (_req, res) => void res.send(`count ${++count}`));
  app.get("/hold", (_req, res) => void held.push(res));
  return app;
}

describe.each([
  ["http", async () => http.createServer()],
  ["https", async () => https.createServer(await certificate())],
  ["http2", async () => http2.createSecureServer({ ...(await certificate()), allowHTTP1: true })],
] as const)("a server of node:%s that was made before", (kind, make) => {
  it("is drained like one of ours, with probes", async () => {
    const held: Response[] = [];
    const server = await make();
    const { served, port } = await given(server as never, appWith(held));
    expect(served.server).toBe(server);
    expect(served.url).toBe(`${kind === "http" ? "http" : "https"}://127.0.0.1:${port}`);
    const [idle, under, racing] = await Promise.all([0, 1, 2].map(() => Wire.to(port, kind !== "http")));
    await idle!.get("/livez").heard("ok\n");
    await racing!.get("/readyz").heard("ok\n");
    under!.get("/hold");
    await until(() => held.length === 1);
    const closed = served.close();
    await racing!.get("/readyz").heard("draining\n");
    await idle!.ended();
    held[0]!.send("whole");
    await under!.heard("whole");
    expect(under!.answers()[0]!.headers.connection).toBe("close");
    expect((await closed).forced).toBe(false);
  });
});

it("a given HTTP/2 server serves an Express app over both protocols", async () => {
  const server = http2.createSecureServer({ ...(await certificate()), allowHTTP1: true });
  const { served, port } = await given(server as never, appWith([]));
  expect(await ask(connectHttp2(served.url), "/count")).toMatchObject({ status: 200, body: "count 1" });
  await (await Wire.to(port, true)).get("/count").heard("count 2");
  expect((await served.close()).forced).toBe(false);
});

it.each([
  ["that has the app already", (app: express.Express) => http.createServer(app)],
  ["without a listener", () => http.createServer()],
])("a server %s calls the app once, with socket.io attached to it before", async (_name, make) => {
  const app = appWith([]);
  const server = make(app);
  const sockets = new SocketIoServer(server);
  // It waits so long for a last request of a client that has gone, by default half a minute, which keeps this process.
  sockets.engine.on("connection", ({ transport }) => Object.assign(transport, { closeTimeout: 100 }));
  const { served, port } = await given(server, app);
  const client = io(`http://127.0.0.1:${port}`, {
    transports: ["polling"],
    reconnection: false,
    forceNew: true,
  });
  await once(client as never, "connect");
  const wire = await Wire.to(port);
  await wire.get("/count").heard("count 1");
  await wire.get("/count").heard("count 2");
  await wire.get("/livez").heard("ok\n");
  served.closing.addEventListener("abort", () => sockets.disconnectSockets(true));
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.disconnect();
  expect((await served.close()).forced).toBe(false);
});

it("may listen later: serve waits, and rejects if it cannot listen", async () => {
  const server = http.createServer();
  const waiting = serve(express(), { server, signals: false });
  server.listen(0, "127.0.0.1");
  const served = await waiting;
  const taken = http.createServer();
  const failing = serve(express(), { server: taken, signals: false });
  taken.listen((server.address() as AddressInfo).port, "127.0.0.1");
  await expect(failing).rejects.toMatchObject({ code: "EADDRINUSE" });
  await served.close();
});

it("a connection from before serve() is drained too", async () => {
  const server = http.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const wire = await Wire.to((server.address() as AddressInfo).port);
  await until(() => (server as unknown as { _connections: number })._connections === 1);
  const held: Response[] = [];
  const served = await serve(appWith(held), { server, signals: false, drain: { idleGraceMs: 20 } });
  wire.get("/hold");
  await until(() => held.length === 1);
  const closed = served.close();
  held[0]!.send("whole");
  await wire.heard("whole");
  expect(wire.answers()[0]!.headers.connection).toBe("close");
  expect((await closed).forced).toBe(false);
});

it("port, host, tls, http2 and workers beside a given server are problems, reported at once", async () => {
  const { problems } = await refusal({
    server: http.createServer(),
    port: 80,
    host: "::1",
    tls: await certificate(),
    http2: true,
    workers: 2,
  });
  expect(problems.map(({ option }) => option)).toEqual(["port", "host", "tls", "http2", "workers"]);
  expect((await refusal({ server: express() })).problems).toEqual([
    expect.objectContaining({ option: "server", reason: expect.stringMatching(/http\.createServer\(\)/) }),
  ]);
});
