import http from "node:http";
import type http2 from "node:http2";
import net from "node:net";
import type express5 from "express";
import {
  allowedHosts,
  apiKey,
  authenticate,
  authorize,
  bodyLimit,
  cache,
  cors,
  csrf,
  recover,
  requestContext,
  requestLog,
  timeout,
} from "../../src/index.js";
import { ask } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { raw } from "../support/server.js";

/** An error class of an app. */
class BadOrder extends Error {
  override readonly name = "BadOrder";
  readonly status = 422;
}

type Handlers = readonly express5.RequestHandler[];

/** An app with every kind of end. `measuring`: what is tested. */
export function makeApp(express: typeof express5, measuring: Handlers, lines: string[]): express5.Express {
  const app = express();
  const stream = { write: (text: string) => void lines.push(...text.split("\n").filter(Boolean)) };
  app.use(requestContext({ check: false }), requestLog({ format: "json", stream }), ...measuring);
  app.use(
    allowedHosts(["localhost", "127.0.0.1"]),
    cors({ origin: ["https://a.example"], allowedHeaders: ["x-a"] }),
    csrf(),
  );
  app.get("/hello/:name", (_req, res) => void res.send("hello"));
  const api = express.Router({ mergeParams: true });
  api.get("/item/:id", (_req, res) => void res.send("item"));
  app.use("/api/:tenant", api);
  app.get("/throws", () => {
    throw new RangeError("broken");
  });
  app.get("/bad", (_req, _res, next) => next(new BadOrder("bad")));
  app.get("/thrown-body", (_req, _res, next) => next({ name: "client's", status: 400 }));
  app.get("/unavailable", (_req, res) => void res.sendStatus(503));
  app.get("/slow", timeout(5), () => {});
  app.get("/idle", timeout({ ms: 10_000, idleMs: 20 }), (_req, res) => void res.write("a"));
  app.get("/total", timeout({ ms: 20, totalMs: 20 }), (_req, res) => void res.write("a"));
  app.get("/never", (req) => void req.app.emit("never"));
  app.get("/half", (_req, res) => void res.write("a"));
  app.get("/truncated", (_req, res) => {
    res.write("a");
    setImmediate(() => res.destroy(new TypeError("own")));
  });
  app.get("/drop", (req) => void req.socket.destroy());
  app.get("/upgrade", (req) => {
    req.socket.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
  });
  app.all("/cached", cache(), (_req, res) => void res.set("Cache-Control", "max-age=60").send("x"));
  app.get("/stale", cache(), (_req, res) => {
    res.set("Cache-Control", "max-age=0, stale-while-revalidate=600").send("x");
  });
  app.post("/small", bodyLimit(5), express.text(), (_req, res) => void res.send("read"));
  app.post(
    "/soon",
    bodyLimit({ limit: 500, timeMs: 20 }),
    express.text(),
    (_req, res) => void res.send("read"),
  );
  app.get(
    "/keyed",
    authenticate(apiKey({ keys: ["sesame-open-sesame"] })),
    (_req, res) => void res.send("in"),
  );
  app.get(
    "/own",
    authorize(() => false),
    (_req, res) => void res.send("in"),
  );
  app.use(recover({ logger: memoryLogger() }));
  return app;
}

/** What one request must be counted as. */
export interface Kind {
  readonly name: string;
  readonly send: (to: Target) => Promise<unknown>;
  /** Method (GET if left out), route, status and error. */
  readonly method?: string;
  readonly route?: string;
  readonly status: number;
  readonly error?: string;
  readonly refused?: readonly [by: string, reason: string];
  readonly cache?: string;
}

export interface Target {
  readonly app: express5.Express;
  readonly url: string;
  readonly port: number;
}

const get = (path: string, init: RequestInit = {}) => ({
  send: ({ url }: Target) =>
    fetch(url + path, init)
      .then((res) => res.text())
      .catch(() => {}),
});
const write = (head: string, body = "") => ({
  send: ({ port }: Target) => raw(port, `${head}\r\nHost: localhost\r\nConnection: close\r\n\r\n${body}`),
});
const leave = (path: string) => ({
  send: ({ url, app }: Target) =>
    new Promise<void>((resolve) => {
      const req = http.get(url + path, (res) => res.on("error", () => {}).once("data", () => req.destroy()));
      req.on("error", () => {}).on("close", resolve);
      if (path === "/never") app.once("never", () => req.destroy());
    }),
});

const PREFLIGHT = { origin: "https://a.example", "access-control-request-method": "PUT" };
const preflight = (headers: Record<string, string>) =>
  get("/hello/ada", { method: "OPTIONS", headers: { ...PREFLIGHT, ...headers } });

/** A request of each kind over HTTP/1, in order: the cache is filled by an earlier one. */
export const KINDS: readonly Kind[] = [
  { name: "an answer", ...get("/hello/ada?x=1"), route: "/hello/:name", status: 200 },
  { name: "a route in a router", ...get("/api/b/item/1"), route: "/api/:tenant/item/:id", status: 200 },
  {
    name: "a route by HEAD",
    ...write("HEAD /hello/ada HTTP/1.1"),
    method: "HEAD",
    route: "/hello/:name",
    status: 200,
  },
  { name: "no route", ...get("/nowhere"), status: 404 },
  {
    name: "a method that has no series",
    ...write("PROPFIND /hello/ada HTTP/1.1"),
    method: "_OTHER",
    status: 404,
  },
  { name: "a failure", ...get("/throws"), route: "/throws", status: 500, error: "500" },
  { name: "an error with a status", ...get("/bad"), route: "/bad", status: 422, error: "BadOrder" },
  { name: "a thrown object", ...get("/thrown-body"), route: "/thrown-body", status: 400, error: "_OTHER" },
  { name: "a 503 of the handler", ...get("/unavailable"), route: "/unavailable", status: 503, error: "503" },
  {
    name: "a deadline",
    ...get("/slow"),
    route: "/slow",
    status: 503,
    error: "503",
    refused: ["timeout", "deadline"],
  },
  { name: "a pause in the body", ...get("/idle"), route: "/idle", status: 200, refused: ["timeout", "idle"] },
  { name: "a long body", ...get("/total"), route: "/total", status: 200, refused: ["timeout", "total"] },
  { name: "a client that leaves before the head", ...leave("/never"), route: "/never", status: 499 },
  { name: "a client that leaves in the body", ...leave("/half"), route: "/half", status: 200 },
  {
    name: "a truncated response",
    ...get("/truncated"),
    route: "/truncated",
    status: 200,
    error: "TypeError",
  },
  { name: "a dropped connection", ...get("/drop"), route: "/drop", status: 444 },
  {
    name: "an upgrade",
    send: ({ port }) =>
      raw(port, "GET /upgrade HTTP/1.1\r\nHost: localhost\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
    route: "/upgrade",
    status: 101,
  },
  { name: "a stored response", ...get("/cached"), route: "/cached", status: 200, cache: "miss" },
  { name: "a hit", ...get("/cached"), status: 200, route: "/cached", cache: "hit" },
  {
    name: "a request past the cache",
    ...get("/cached", { method: "POST" }),
    method: "POST",
    route: "/cached",
    status: 200,
    cache: "bypass",
  },
  { name: "a response to be revalidated", ...get("/stale"), route: "/stale", status: 200, cache: "miss" },
  { name: "a stale hit", ...get("/stale"), route: "/stale", status: 200, cache: "stale" },
  {
    name: "another host",
    send: ({ port }) => raw(port, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
    status: 421,
    refused: ["allowedHosts", "not-listed"],
  },
  {
    name: "no host",
    send: ({ port }) => raw(port, "GET / HTTP/1.0\r\n\r\n"),
    status: 400,
    refused: ["allowedHosts", "missing"],
  },
  { name: "a preflight", ...preflight({}), method: "OPTIONS", status: 204 },
  {
    name: "a preflight of another origin",
    ...preflight({ origin: "https://b.example" }),
    method: "OPTIONS",
    status: 403,
    refused: ["cors", "origin"],
  },
  {
    name: "a preflight for a header",
    ...preflight({ "access-control-request-headers": "x-b" }),
    method: "OPTIONS",
    status: 403,
    refused: ["cors", "header"],
  },
  {
    name: "a preflight for a method",
    ...preflight({ "access-control-request-method": "PURGE" }),
    method: "OPTIONS",
    status: 403,
    refused: ["cors", "method"],
  },
  {
    name: "a forged request",
    ...get("/small", { method: "POST", headers: { "sec-fetch-site": "cross-site" } }),
    method: "POST",
    status: 403,
    refused: ["csrf", "sec-fetch-site"],
  },
  {
    name: "a long upload",
    ...get("/small", { method: "POST", body: "too long" }),
    method: "POST",
    route: "/small",
    status: 413,
    refused: ["bodyLimit", "size"],
  },
  {
    name: "a slow upload",
    send: ({ port }) => stalledUpload(port),
    method: "POST",
    route: "/soon",
    status: 408,
    refused: ["bodyLimit", "time"],
  },
  { name: "no credentials", ...get("/keyed"), route: "/keyed", status: 401, refused: ["auth", "missing"] },
  {
    name: "wrong credentials",
    ...get("/keyed", { headers: { "x-api-key": "wrong-and-long" } }),
    route: "/keyed",
    status: 401,
    refused: ["auth", "rejected"],
  },
  {
    name: "a caller who may not",
    ...get("/own"),
    route: "/own",
    status: 403,
    refused: ["auth", "forbidden"],
  },
];

/** Sends the head and a part of the body, and waits for the answer. */
function stalledUpload(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.write(
        "POST /soon HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 50\r\n\r\na",
      );
    });
    socket.on("data", () => socket.destroy());
    socket.on("error", () => {}).on("close", () => resolve());
  });
}

export interface Http2Kind extends Omit<Kind, "send"> {
  readonly send: (session: http2.ClientHttp2Session, app: express5.Express) => Promise<unknown>;
}

/** The same over HTTP/2. */
export const HTTP2_KINDS: readonly Http2Kind[] = [
  { name: "an answer", send: (to) => ask(to, "/hello/ada"), route: "/hello/:name", status: 200 },
  { name: "a failure", send: (to) => ask(to, "/throws"), route: "/throws", status: 500, error: "500" },
  {
    name: "a deadline",
    send: (to) => ask(to, "/slow"),
    route: "/slow",
    status: 503,
    error: "503",
    refused: ["timeout", "deadline"],
  },
  {
    name: "a pause in the body",
    send: (to) => ask(to, "/idle"),
    route: "/idle",
    status: 200,
    refused: ["timeout", "idle"],
  },
  {
    name: "another host",
    send: (to) => ask(to, "/", { headers: { ":authority": "evil.example" } }),
    status: 421,
    refused: ["allowedHosts", "not-listed"],
  },
  {
    name: "an invented method",
    send: (to) => ask(to, "/hello/ada", { method: "BREW" }),
    method: "_OTHER",
    status: 404,
  },
  {
    name: "a client that leaves before the head",
    send: (to, app) =>
      new Promise((resolve) => {
        const stream = to.request({ ":path": "/never" });
        stream.on("error", () => {}).on("close", () => resolve(undefined));
        app.once("never", () => stream.close(8));
      }),
    route: "/never",
    status: 499,
  },
];
