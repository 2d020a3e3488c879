import http from "node:http";
import { Readable } from "node:stream";
import express, { type Request, type RequestHandler, type Response } from "express";
import request from "supertest";
import {
  AbortRequest,
  allowedHosts,
  apiKey,
  authenticate,
  authorize,
  basic,
  bearer,
  bodyLimit,
  contextOf,
  cors,
  csrf,
  notFound,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
} from "../../src/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw } from "../support/server.js";
import { oneIn } from "../support/soak.js";

afterEach(async () => {
  jest.restoreAllMocks();
  await closeServers();
});

/** A client that sends a request and leaves; its result does not matter, only that it ends. */
type Client = (port: number) => Promise<unknown>;
const GET = "GET /attack HTTP/1.1\r\nHost: a\r\n\r\n";
const get: Client = (port) => raw(port, GET, 60);
const send =
  (text: string | string[]): Client =>
  (port) =>
    raw(port, text, 60);
const leaving =
  (text: string): Client =>
  (port) =>
    new Promise((resolve) => {
      const socket = http.get({
        port,
        host: "127.0.0.1",
        agent: false,
        path: "/attack",
        headers: { "X-Text": text },
      });
      socket
        .on("error", resolve)
        .on("response", (res) => res.on("error", resolve).on("close", resolve).destroy());
      setTimeout(() => socket.destroy(), 10);
    });

const fail = (value: unknown = new Error("attack")) => {
  throw value;
};
const reject = (value: unknown = new Error("attack")) => Promise.reject(value);
const later = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Misbehaving handlers. */
const handlers: [string, (req: Request, res: Response, next: (error?: unknown) => void) => unknown][] = [
  ["throws an Error", () => fail()],
  ["throws a string", () => fail("x")],
  ["throws a Symbol", () => fail(Symbol("x"))],
  ["rejects", () => reject()],
  ["rejects with nothing", () => reject(undefined)],
  ["rejects with 'route'", () => reject("route")],
  ["rejects later", () => later().then(() => fail())],
  ["throws AbortRequest", () => fail(new AbortRequest())],
  ["throws after write", (_q, r) => r.write("x") && fail()],
  ["throws after write, later", (_q, r) => r.write("x") && later().then(() => fail())],
  ["throws after end", (_q, r) => r.end("x") && fail()],
  ["throws after flushHeaders", (_q, r) => r.flushHeaders() ?? fail()],
  ["calls next twice", (_q, _r, n) => [n(), n()]],
  ["calls next with an error twice", (_q, _r, n) => [n(new Error("1")), n(new Error("2"))]],
  ["calls next after end", (_q, r, n) => [r.end("x"), n()]],
  ["answers twice", (_q, r) => [r.send("x"), r.send("y")]],
  ["answers twice, later", (_q, r) => [r.send("x"), later().then(() => r.send("y"))][1]],
  ["writes after end", (_q, r) => [r.end(), r.on("error", () => {}).write("x")]],
  ["sets a header after the head", (_q, r) => [r.end(), r.setHeader("a", "b")]],
  ["sets a header with a line break", (_q, r) => r.setHeader("a", "b\r\nc: d")],
  ["sets a wrong status", (_q, r) => r.writeHead(42)],
  ["sets status 1000", (_q, r) => (r.statusCode = 1000) && r.end()],
  ["sends a cycle", (_q, r) => r.json(cycle())],
  ["sends a BigInt", (_q, r) => r.json({ n: 1n })],
  ["destroys the response", (_q, r) => r.destroy()],
  ["destroys the response with an error", (_q, r) => r.on("error", () => {}).destroy(new Error("x"))],
  ["destroys the request", (q) => q.on("error", () => {}).destroy()],
  ["destroys the socket", (q) => q.socket.destroy()],
  ["resets the socket", (q) => q.socket.resetAndDestroy()],
  ["ends the socket", (q) => q.socket.end()],
  ["pipes a stream that fails", (_q, r) => failingStream(r).pipe(r)],
  ["sends a file that is not there", (_q, r) => r.sendFile("/nowhere/at/all")],
  ["renders a view that is not there", (_q, r) => r.render("nothing")],
  ["lies about its length", (_q, r) => r.set("Content-Length", "100").end("x")],
  ["promises a trailer", (_q, r) => r.set("Trailer", "X-A").write("x") && fail()],
  ["removes all headers", (_q, r) => [removeAll(r), r.send("x")]],
  [
    "replaces writeHead with one that throws",
    (_q, r) => [Object.assign(r, { writeHead: () => fail() }), r.send("x")],
  ],
  ["replaces end with one that throws once", (_q, r) => [throwOnce(r, "end"), r.send("x")]],
  [
    "replaces setHeader with one that throws",
    (_q, r) => [Object.assign(r, { setHeader: () => fail() }), fail()],
  ],
  ["sends early hints and fails", (_q, r) => [r.writeEarlyHints({ link: "</a>; rel=preload" }), fail()]],
  ["asks for the signal and fails", (q) => [contextOf(q).signal, fail()]],
  ["makes 50 hops", (_q, _r, n) => setImmediate(() => n(Object.assign(new Error("x"), { status: 418 })))],
];

/** Misbehaving callbacks of options. */
const options: [string, RequestHandler][] = [
  ["cors origin throws", cors({ origin: () => fail() })],
  ["cors origin rejects", cors({ origin: () => reject(undefined) as never })],
  ["cors origin rejects with 'route'", cors({ origin: () => reject("route") as never })],
  ["cors origin returns junk", cors({ origin: () => "yes" as never })],
  ["csrf onReject throws", csrf({ onReject: () => fail() })],
  ["csrf onReject rejects", csrf({ onReject: () => reject(undefined), reportOnly: true })],
  ["allowedHosts onReject throws", allowedHosts("b", { onReject: () => fail("router") })],
  ["allowedHosts onReject rejects", allowedHosts("b", { onReject: () => reject(null) })],
  ["bearer verify throws", authenticate(bearer({ verify: () => fail("router") }))],
  ["bearer verify rejects", authenticate(bearer({ verify: () => reject(null) as never }))],
  ["basic verify throws", authenticate(basic({ verify: () => fail() }))],
  ["apiKey verify rejects", authenticate(apiKey({ verify: () => reject() as never }))],
  ["authorize throws", authorize(() => fail(undefined))],
  ["authorize rejects", authorize(() => reject() as never)],
  ["log format throws", requestLog({ format: () => fail() as never, stream: sink() })],
  ["log format returns junk", requestLog({ format: () => ({}) as never, stream: sink() })],
  ["log skip throws", requestLog({ skip: () => fail() as never, stream: sink() })],
  ["log ignore throws", requestLog({ ignore: () => fail() as never, stream: sink() })],
  ["log level throws", requestLog({ level: () => fail() as never, stream: sink() })],
  ["log stream throws", requestLog({ format: "json", stream: { write: () => fail() as never } })],
  [
    "log redact throws",
    requestLog({ format: "json", redact: { path: () => fail() as never }, stream: sink() }),
  ],
  ["log logger throws", requestLog({ logger: { debug: fail, info: fail, warn: fail, error: fail } })],
  ["server timing throws", requestLog({ serverTiming: () => fail() as never, stream: sink() })],
  [
    "recover inside throws in render",
    recover.wrap(() => fail(), { render: () => fail(), logger: memoryLogger() }),
  ],
  [
    "recover inside throws in onError",
    recover.wrap(() => fail(), { onError: () => fail(), logger: memoryLogger() }),
  ],
];

/** Attacks by the client; the handler answers. */
const clients: [string, Client][] = [
  ["an Origin with a line of nonsense", send(GET.replace("\r\n\r\n", "\r\nOrigin: \x80\xff,,null\r\n\r\n"))],
  ["two Origins", send(GET.replace("\r\n\r\n", "\r\nOrigin: https://a\r\nOrigin: https://b\r\n\r\n"))],
  [
    "a preflight with 14 KB of names",
    send(
      `OPTIONS /attack HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: ${"a,".repeat(7000)}\r\n\r\n`,
    ),
  ],
  ["an Authorization of junk", send(GET.replace("\r\n\r\n", "\r\nAuthorization: \tBasic ====\r\n\r\n"))],
  ["a percent sign too many", send(GET.replace("/attack", "/attack%?%=%zz&access_token=%"))],
  ["an absolute target", send(GET.replace("/attack", "http://u:p@evil/attack?x"))],
  ["OPTIONS *", send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")],
  ["a long query", send(GET.replace("/attack", `/attack?${"a=b&".repeat(3500)}`))],
  ["an Accept of 10 KB", send(GET.replace("\r\n\r\n", `\r\nAccept: ${"a/b;q=0.1,".repeat(1000)}\r\n\r\n`))],
  ["two Hosts", send(GET.replace("\r\n\r\n", "\r\nHost: b\r\n\r\n"))],
  ["a Host of junk", send(GET.replace("Host: a", "Host: [::1%25]:99999999"))],
  ["a host of 10 KB", send(GET.replace("Host: a", `Host: ${"a.".repeat(5_000)}`))],
  [
    "a forged request whose body stalls",
    send("POST /attack HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 9\r\n\r\nabc"),
  ],
  [
    "a chunked body over the limit",
    send(
      `POST /attack HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n${"x".repeat(4_095)}\r\n`,
    ),
  ],
  [
    "a body that says it is over the limit",
    send("POST /attack HTTP/1.1\r\nHost: a\r\nContent-Length: 1e9\r\n\r\n"),
  ],
  ["no HTTP at all", send("\x16\x03\x01\x02\x00")],
  ["half a head", send("GET /attack HTTP/1.1\r\nHos")],
  ["a body that stalls", send("POST /attack HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")],
  ["a broken chunk", send("POST /attack HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")],
  ["twenty pipelined requests", send(GET.repeat(20))],
  ["an upgrade", send(GET.replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))],
  ["HTTP/1.0", send("GET /attack HTTP/1.0\r\n\r\n")],
  ["leaving at once", leaving("x")],
  ["a traceparent of junk", send(GET.replace("\r\n\r\n", "\r\ntraceparent: 00--\r\ntraceparent: x\r\n\r\n"))],
];

function whole(attack: RequestHandler): express.Express {
  const app = express();
  const { env } = process;
  env.NO_COLOR = "1";
  app.use(requestContext({ trustRequestId: true }));
  app.use(requestLog({ format: "json", stream: sink(), serverTiming: true }));
  app.use(requestLog({ format: "combined", stream: sink() }));
  app.use(securityHeaders());
  app.use(cors({ origin: ["https://a.example", "https://*.b.example"], credentials: true }));
  app.use(csrf(), bodyLimit({ limit: 2_000, timeMs: 30 }));
  app.get("/alive", (_req, res) => void res.send("alive"));
  app.use("/attack", attack, (_req, res) => void res.send("passed"));
  app.use(notFound());
  app.use(recover({ logger: memoryLogger() }));
  return app;
}

const headers =
  "Origin: https://a.example\r\nSec-Fetch-Site: cross-site\r\nAuthorization: Bearer abc\r\nX-Api-Key: abc\r\n";
const basicHeaders = headers.replace("Bearer abc", `Basic ${Buffer.from("a:b").toString("base64")}`);
const withHeaders = (more: string): Client => send(GET.replace("\r\n\r\n", `\r\n${more}\r\n`));

const table: [string, RequestHandler, Client][] = [
  ...handlers.map(([name, handler]): [string, RequestHandler, Client] => [
    `a handler ${name}`,
    handler as RequestHandler,
    get,
  ]),
  ...handlers
    .slice(0, 8)
    .map(([name, handler]): [string, RequestHandler, Client] => [
      `a handler ${name}, with a stalled upload`,
      handler as RequestHandler,
      send("POST /attack HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc"),
    ]),
  ...options.map(([name, handler]): [string, RequestHandler, Client] => [
    `an option: ${name}`,
    handler,
    withHeaders(name.startsWith("basic") ? basicHeaders : headers),
  ]),
  ...clients.map(([name, client]): [string, RequestHandler, Client] => [
    `a client sends ${name}`,
    (_q, _r, n) => n(),
    client,
  ]),
];

it("tries at least sixty ways", () => {
  expect(table.length).toBeGreaterThanOrEqual(60);
});

const faults: unknown[] = [];
const note = (error: unknown) => void faults.push(error);
beforeAll(() => {
  process.on("uncaughtException", note).on("unhandledRejection", note);
});
afterAll(() => {
  process.off("uncaughtException", note).off("unhandledRejection", note);
});

it.each(
  oneIn(2, table),
)("%s: nothing ends the process, and the server still answers", async (_name, attack, client) => {
  jest.spyOn(process.stderr, "write").mockReturnValue(true);
  jest.spyOn(console, "error").mockImplementation(() => {});
  jest.spyOn(console, "warn").mockImplementation(() => {});
  faults.length = 0;
  const server = await listen(whole(attack));
  await client(server.port);
  const res = await request(server.url).get("/alive").set("Origin", "https://a.example").expect(200, "alive");
  expect(res.headers["access-control-allow-origin"]).toBe("https://a.example");
  await new Promise((resolve) => setImmediate(resolve));
  expect(faults).toEqual([]);
});

function removeAll(res: Response): void {
  for (const name of res.getHeaderNames()) res.removeHeader(name);
}

function cycle(): object {
  const made: Record<string, unknown> = {};
  made.self = made;
  return made;
}

function failingStream(res: Response): Readable {
  const stream = new Readable({ read: () => void stream.destroy(new Error("source")) });
  return stream.on("error", () => res.destroy());
}

function throwOnce(res: Response, name: "end"): void {
  const real = res[name];
  res[name] = (() => {
    res[name] = real;
    fail();
  }) as never;
}

function sink() {
  return { write: () => true };
}
