import compression from "compression";
import express, { type RequestHandler, type Response } from "express";
import session from "express-session";
import onHeaders from "on-headers";
import { cache } from "../../src/cache/index.js";
import { compress } from "../../src/compress/index.js";
import { beforeHead } from "../../src/lib/response/intercept.js";
import { type TimeoutOptions, timeout } from "../../src/timeout/index.js";
import { ask1 } from "../support/http2.js";
import { closeServers, listen } from "../support/server.js";
import { get, MS, sleep, survive, talk, watchProcess, watchStderr } from "./support.js";

// On HTTP/1 `writeHead` prepares the head, which Node sends with the first of the body.

const stderr = watchStderr();
watchProcess();
afterEach(closeServers);

async function start(
  handler: (res: Response) => unknown,
  outer: RequestHandler[] = [],
  inner: RequestHandler[] = [],
  options: Partial<TimeoutOptions> = {},
) {
  const app = express();
  app.get("/fine", (_req, res) => void res.send("fine"));
  app.use(...outer, timeout({ ms: MS, ...options }), ...inner);
  app.use((_req, res) => void handler(res));
  return listen(app);
}

const heads: [string, (res: Response) => unknown][] = [
  ["plain", (res) => res.writeHead(200)],
  [
    "with headers",
    (res) => res.writeHead(200, { "Content-Type": "text/inner", ETag: '"inner"', "X-Inner": "1" }),
  ],
  ["with a list of headers", (res) => res.writeHead(200, ["X-Inner", "1", "X-Inner", "2"])],
  ["with a reason", (res) => res.writeHead(200, "Inner")],
  ["with a length", (res) => res.writeHead(200, { "Content-Length": "7" })],
  ["chunked", (res) => res.writeHead(200, { "Transfer-Encoding": "chunked", Trailer: "X-Inner" })],
  ["that closes", (res) => res.writeHead(200, { Connection: "close" })],
  ["with a Keep-Alive of its own", (res) => res.writeHead(200, { "Keep-Alive": "timeout=1" })],
  ["of no content", (res) => res.writeHead(204)],
  ["not modified, and chunked", (res) => res.writeHead(304, { "Transfer-Encoding": "chunked" })],
  ["behind a cork", (res) => void (res.cork() ?? res.writeHead(200))],
];

it.each(heads)("a head that was written, and not sent, is taken back: %s", async (_what, handler) => {
  const { port } = await start(handler);
  const text = await survive(port, () => true);
  const first = text.slice(0, text.indexOf("HTTP/1.1 200"));
  expect(first).toMatch(
    /^HTTP\/1\.1 503 Service Unavailable\r\n.*\r\nContent-Length: \d+\r\n.*"status":503.*\}$/s,
  );
  expect(first).not.toMatch(/inner|chunked|Trailer|Content-Length: 7|close|timeout=1/i);
});

it("is taken back from HEAD, and for HTTP/1.0", async () => {
  const { port } = await start((res) => res.writeHead(200, { "Content-Length": "7" }));
  const connection = await talk(port);
  connection.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(await connection.has(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 503 .*\r\n\r\n$/s);
  connection.send("GET / HTTP/1.0\r\n\r\n");
  await connection.ended();
  expect(connection.text).toMatch(/\r\n\r\nHTTP\/1\.1 503 .*Connection: close\r\n.*"status":503.*\}$/s);
});

const marked: RequestHandler = (_req, res, next) => {
  beforeHead(res, (at) => void at.setHeader("X-Hook", String(at.statusCode)), undefined);
  onHeaders(res, () => void res.appendHeader("X-Once", String(res.statusCode)));
  next();
};

it.each<[string, RequestHandler[], object]>([
  ["hooks, some of which run once", [marked], { "x-hook": "503", "x-once": "200" }],
  ["compression", [compression({ threshold: 0 })], { "content-encoding": "gzip" }],
  [
    "compression and hooks",
    [marked, compression({ threshold: 0 })],
    { "x-hook": "503", "content-encoding": "gzip" },
  ],
  [
    "a session",
    [session({ secret: "s", resave: true, saveUninitialized: true })],
    { "set-cookie": [expect.stringMatching(/^connect\.sid=/)] },
  ],
  ["compress", [marked, compress({ threshold: 0 })], { "x-hook": "503" }],
  ["cache", [cache(), marked], { "x-hook": "503" }],
])("further out, %s", async (_name, outer, headers) => {
  const handler = (res: Response) =>
    res.writeHead(200, { "Content-Type": "text/plain", "X-Inner": "1", "Set-Cookie": "inner=1" });
  const { url } = await start(handler, outer);
  for (let i = 0; i < 2; i++) {
    const answer = await fetch(url, { headers: { "Accept-Encoding": "gzip" } });
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ status: 503 });
    const seen = { ...Object.fromEntries(answer.headers), "set-cookie": answer.headers.getSetCookie() };
    expect(seen).toMatchObject(headers);
    expect(seen).not.toHaveProperty("x-inner");
    expect(String(seen["set-cookie"])).not.toContain("inner");
  }
  expect(stderr).toEqual([]);
});

it.each<[string, RequestHandler[], RequestHandler[]]>([
  ["compression further out", [compression({ threshold: 0 })], []],
  ["compress further out", [compress({ threshold: 0 })], []],
  ["compression further in", [], [compression({ threshold: 0 })]],
])("a body that %s has is not touched", async (_name, outer, inner) => {
  const ms = 300; // zlib has to pass on the first bytes before it, on a busy machine too
  const { url } = await start(
    async (res) => {
      res.type("text").write("begun ");
      await sleep(ms + 30);
      res.end("and ended");
    },
    outer,
    inner,
    { ms },
  );
  const answer = await fetch(url, { headers: { "Accept-Encoding": "gzip" } });
  expect([answer.status, await answer.text()]).toEqual([200, "begun and ended"]);
});

it("an answer that ended in time is sent, however late compression further out is", async () => {
  const slow: RequestHandler = (_req, res, next) => {
    const { end } = res;
    res.end = ((...args: Parameters<Response["end"]>) => {
      setTimeout(() => end.apply(res, args), 3 * MS);
      return res;
    }) as Response["end"];
    next();
  };
  const { url } = await start((res) => res.writeHead(200).end("in time"), [slow]);
  expect(await ask1(url, "/")).toMatchObject({ status: 200, body: "in time" });
});

it.each<[string, RequestHandler[]]>([
  ["alone", []],
  ["with compress further in", [compress()]],
])("an event stream that has a head has begun: it is sent, %s", async (_how, inner) => {
  const { port } = await start(
    (res) => res.writeHead(200, { "Content-Type": "text/event-stream" }),
    [],
    inner,
  );
  const connection = await talk(port);
  connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(await connection.has(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 200 .*text\/event-stream/s);
  connection.close();
});

it("a head that is flushed has begun the response", async () => {
  const { url } = await start(async (res) => {
    res.writeHead(200).flushHeaders();
    await sleep(MS + 30);
    res.end("whole");
  });
  expect(await ask1(url, "/")).toMatchObject({ status: 200, body: "whole" });
});

it("a response that waits for its turn on the connection is not taken back", async () => {
  const app = express();
  app.get("/first", (_req, res) => void setTimeout(() => res.send("first"), MS + 30));
  app.use(timeout(MS), (_req, res) => {
    res.writeHead(200, { "Content-Length": "6" });
    res.write("sec");
    setTimeout(() => res.end("ond"), MS + 30);
  });
  const { port } = await listen(app);
  const connection = await talk(port);
  connection.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(await connection.has(/second$/)).not.toContain("503");
  connection.close();
});

it("idleMs does not cut what can still be answered", async () => {
  const { port } = await start((res) => res.writeHead(200), [], [], { ms: 60, idleMs: 10, totalMs: 80 });
  expect(await get(port)).toMatch(/^HTTP\/1\.1 503/);
});
