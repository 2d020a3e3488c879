import { once } from "node:events";
import http from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import net from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import tls from "node:tls";
import express, { type Express } from "express";
import inject from "light-my-request";
import { createRequest, createResponse } from "node-mocks-http";
import {
  cache,
  compress,
  type LoadShed,
  loadShed,
  recover,
  type Served,
  serve,
  timeout,
} from "../../src/index.js";
import { certificate } from "../support/certificate.js";
import { closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { oneIn } from "../support/soak.js";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await closeHttp2();
  await closeServers();
  await Promise.all(closing.splice(0).map((close) => close()));
});

async function serveHere(app: Express, http2 = false): Promise<Served> {
  const served = await serve(app, {
    port: 0,
    host: "127.0.0.1",
    signals: false,
    onUncaught: false,
    logger: memoryLogger(),
    drain: { deadlineMs: 100 },
    ...(http2 && { http2: true, tls: await certificate() }),
  });
  closing.push(() => served.close());
  return served;
}

/** Routes whose responses end in all ways. */
function build(): { app: Express; shed: LoadShed; reached: () => number } {
  const shed = loadShed();
  let count = 0;
  const app = express();
  app.use(shed);
  app.use((_req, _res, next) => {
    count++;
    expect(shed.stats().inFlight).toBeGreaterThan(0);
    next();
  });
  app.use("/cached", cache());
  app.use("/compressed", compress({ threshold: 1 }));
  app.use("/slow", timeout(30));
  app.get("/ok", (_req, res) => void res.send("ok"));
  app.get("/later", async (_req, res) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    res.json({ ok: true });
  });
  app.get("/empty", (_req, res) => void res.status(204).end());
  app.get("/etag", (_req, res) => void res.set("ETag", '"v1"').send("ok"));
  app.get("/throws", () => {
    throw new Error("no");
  });
  app.get("/rejects", async () => {
    await null;
    throw new Error("no");
  });
  app.get("/next", (_req, _res, next) => next(new Error("no")));
  app.get("/file", (_req, res) => res.sendFile(join(__dirname, "places.test.ts")));
  app.get("/no-file", (_req, res) => res.sendFile("/no/such/file"));
  app.get("/pipe", (_req, res) => void Readable.from(["a", "b", "c"]).pipe(res));
  app.get("/truncated", (_req, res) => {
    res.write("half");
    setImmediate(() => res.destroy());
  });
  app.get("/destroyed", (_req, res) => void res.destroy());
  app.get("/socket", (req) => void req.socket.destroy());
  app.get("/twice", (_req, res) => {
    res.on("error", () => {}); // Node's own: write after end
    res.end("one");
    res.end("two");
  });
  app.get("/events", (_req, res) => void res.type("text/event-stream").write("data: 1\n\n"));
  app.get("/hints", (_req, res) =>
    res.writeEarlyHints({ link: "</a.css>; rel=preload" }, () => res.send("ok")),
  );
  app.get("/flushed", (_req, res) => res.flushHeaders());
  app.get("/bad-head", (_req, res) => {
    expect(() => res.writeHead(9_999)).toThrow();
    res.send("ok");
  });
  app.get("/cached/one", (_req, res) => void res.set("Cache-Control", "max-age=60").send("cached"));
  app.get("/compressed/one", (_req, res) => void res.send("x".repeat(5_000)));
  app.get("/slow/one", () => {});
  app.get("/never", () => {});
  app.post("/body", express.text({ limit: 10 }), (_req, res) => void res.send("read"));
  app.post("/early", (_req, res) => void res.status(413).send("no"));
  app.get("/raw", (req) => {
    req.socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
  });
  app.use(recover({ logger: memoryLogger() }));
  return { app, shed, reached: () => count };
}

const GET = (path: string, fields = "Connection: close\r\n") =>
  `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`;
const OPEN = "Accept: */*\r\n"; // the connection stays open

/** What a client sends over HTTP/1, and whether it then leaves. */
const WAYS: Record<string, string | string[] | { send: string; leave: true }> = {
  "an answer": GET("/ok"),
  "an answer after an await": GET("/later"),
  HEAD: GET("/ok").replace("GET", "HEAD"),
  OPTIONS: GET("/ok").replace("GET", "OPTIONS"),
  "204": GET("/empty"),
  "304": GET("/etag", 'If-None-Match: "v1"\r\nConnection: close\r\n'),
  "404": GET("/nothing"),
  "a throw": GET("/throws"),
  "a rejection": GET("/rejects"),
  "next(error)": GET("/next"),
  sendFile: GET("/file"),
  "sendFile of no file": GET("/no-file"),
  "a range of a file": GET("/file", "Range: bytes=0-9\r\nConnection: close\r\n"),
  "a pipe": GET("/pipe"),
  "a truncated response": GET("/truncated"),
  "res.destroy()": GET("/destroyed"),
  "req.socket.destroy()": GET("/socket"),
  "end() twice": GET("/twice"),
  "early hints": GET("/hints"),
  "a head that Node refuses, then another": GET("/bad-head"),
  "a timeout": GET("/slow/one"),
  "a compressed response": GET("/compressed/one", "Accept-Encoding: gzip\r\nConnection: close\r\n"),
  "a cache hit": [GET("/cached/one"), GET("/cached/one")],
  pipelining: GET("/ok", OPEN) + GET("/later", OPEN) + GET("/ok"),
  "pipelining that is not waited for": {
    send: GET("/never", OPEN) + GET("/later", OPEN) + GET("/ok"),
    leave: true,
  },
  "a client that leaves before the head": { send: GET("/never"), leave: true },
  "a client that leaves an event stream": { send: GET("/events"), leave: true },
  "a client that leaves after the head": { send: GET("/flushed"), leave: true },
  "a body that is read":
    "POST /body HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
  "a body that is too long":
    "POST /body HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\n01234567890123456789",
  "a body that stops": {
    send: "POST /body HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nhi",
    leave: true,
  },
  "an answer before the body":
    "POST /early HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: 99\r\n\r\nhi",
  "100-continue":
    "POST /body HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
  "HTTP/1.0": "GET /ok HTTP/1.0\r\n\r\n",
  "an upgrade that the handler does itself": {
    send: GET("/raw", "Connection: Upgrade\r\nUpgrade: x\r\n"),
    leave: true,
  },
};

/** Watches every change, so that a place released twice is seen even if another request holds one. */
function watch(shed: LoadShed): () => void {
  expect(shed.stats().inFlight).toBe(0);
  return () => expect(shed.stats()).toMatchObject({ inFlight: 0, queued: 0, shed: 0 });
}

async function talk(port: number, way: (typeof WAYS)[string], shed: LoadShed): Promise<void> {
  if (typeof way === "string" || Array.isArray(way)) {
    for (const part of [way].flat()) await raw(port, part, 60);
    return;
  }
  const socket = net.connect(port, "127.0.0.1").on("error", () => {});
  socket.write(way.send);
  await until(() => shed.stats().inFlight > 0 || socket.bytesRead > 0);
  socket.destroy();
}

describe.each([
  ["a server of Node", async (app: Express) => (await listen(app)).port],
  ["serve", async (app: Express) => Number(new URL((await serveHere(app)).url).port)],
])("over HTTP/1 by %s, the place is given back once after", (name, start) => {
  it.each(oneIn(name === "serve" ? 3 : 1, Object.entries(WAYS)))("%s", async (_way, way) => {
    const { app, shed, reached } = build();
    const done = watch(shed);
    await talk(await start(app), way, shed);
    await until(() => reached() > 0 && shed.stats().inFlight <= 0);
    await new Promise((resolve) => setTimeout(resolve, 20)); // what would release it again has its time
    done();
  });
});

describe("over HTTP/2, the place is given back once after", () => {
  const paths =
    "/ok /later /empty /nothing /throws /rejects /next /file /pipe /truncated /destroyed /twice /slow/one /compressed/one /cached/one";

  it.each(oneIn(2, paths.split(" ")))("%s", async (path) => {
    const { app, shed, reached } = build();
    const stream = connectHttp2((await serveHere(app, true)).url).request({ ":path": path });
    stream.on("error", () => {}).resume();
    await until(() => stream.closed);
    await until(() => reached() > 0 && shed.stats().inFlight <= 0);
    expect(shed.stats()).toMatchObject({ inFlight: 0, shed: 0 });
  });

  interface Client {
    readonly session: ClientHttp2Session;
    readonly stream: ClientHttp2Stream;
    readonly socket: tls.TLSSocket;
  }
  const leaving: Record<string, (client: Client) => void> = {
    RST_STREAM: ({ stream }) => stream.close(constants.NGHTTP2_CANCEL),
    "GOAWAY and the end of the session": ({ session }) => {
      session.goaway(0);
      session.destroy();
    },
    "the end of the connection": ({ socket }) => void socket.destroy(),
  };

  it.each(Object.entries(leaving))("%s", async (_name, leave) => {
    for (const path of oneIn(2, ["/never", "/events", "/flushed"])) {
      const { app, shed, reached } = build();
      const { url } = await serveHere(app, true);
      const port = Number(new URL(url).port);
      const socket = tls.connect({ port, ALPNProtocols: ["h2"], rejectUnauthorized: false });
      socket.on("error", () => {});
      const session = connect(url, { createConnection: () => socket }).on("error", () => {});
      const stream = session.request({ ":path": path });
      stream.on("error", () => {}).resume();
      await until(() => reached() > 0);
      leave({ session, stream, socket });
      await until(() => shed.stats().inFlight === 0);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(shed.stats()).toMatchObject({ inFlight: 0, shed: 0 });
    }
  });
});

it("an event stream and an upgraded connection hold no place while they are open", async () => {
  const { app, shed } = build();
  const { port } = await listen(app);
  const events = http.get({ port, path: "/events", agent: false }).on("error", () => {});
  await once(events, "response");
  const socket = net.connect(port, "127.0.0.1").on("error", () => {});
  socket.write(GET("/raw", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  await once(socket, "data");
  expect(shed.stats().inFlight).toBe(0);
  events.destroy();
  socket.destroy();
});

it("the same middleware mounted twice takes one place; two of them take one each", async () => {
  const [one, other] = [loadShed({ limit: 1 }), loadShed({ limit: 1 })];
  const app = express();
  let seen: number[] = [];
  app.use(one, other, one, (_req, res) => {
    seen = [one.stats().inFlight, other.stats().inFlight];
    res.send("ok");
  });
  const { port } = await listen(app);
  for (let i = 0; i < 3; i++) expect((await raw(port, GET("/"), 60)).text).toContain("200 OK");
  expect(seen).toEqual([1, 1]);
  expect([one.stats().inFlight, other.stats().inFlight]).toEqual([0, 0]);
});

// Last, because light-my-request changes the prototypes of all Express requests of the process.
describe("without a server, the place is given back once after", () => {
  it.each([
    "/ok",
    "/later",
    "/throws",
    "/pipe",
    "/compressed/one",
    "/cached/one",
  ])("%s by light-my-request", async (path) => {
    const { app, shed } = build();
    await inject(app as never, { url: path });
    await until(() => shed.stats().inFlight === 0);
    expect(shed.stats()).toMatchObject({ inFlight: 0, shed: 0 });
  });

  it("a mock of node-mocks-http", async () => {
    const shed = loadShed();
    for (let i = 0; i < 50; i++) {
      const res = createResponse();
      shed(createRequest() as never, res as never, () => void res.status(200).send("ok"));
    }
    await until(() => shed.stats().inFlight === 0);
    expect(shed.stats()).toMatchObject({ inFlight: 0, shed: 0 });
  });
});
