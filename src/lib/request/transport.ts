import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";

// An app also runs without a server: behind an adapter (serverless-http and the like), a client that injects requests
// (light-my-request), or mocks in a unit test. Their responses finish and may never close, and a mock has only some of
// the methods.

/**
 * Whether a server of Node has accepted the request. Only then does the response emit 'close', and only then is there a
 * connection to keep or reset.
 */
export function isServed(req: IncomingMessage | undefined, res: ServerResponse): boolean {
  if ((res as { stream?: unknown }).stream !== undefined) return true; // HTTP/2
  const socket = req?.socket as { server?: unknown } | null | undefined;
  // A pipelined response waits for its turn without a socket.
  return socket?.server !== undefined && (res.socket === socket || res.socket === null);
}

/** Whether the emitter's events are its own: some mocks have methods that do nothing. */
export function isMute(emitter: object): boolean {
  return typeof (emitter as { listenerCount?: unknown }).listenerCount !== "function";
}

/** Whether the response is a mock or of another class: Node's own have `_header`, or a stream (HTTP/2). */
export function isMock(res: ServerResponse): boolean {
  const { stream } = res as { stream?: unknown };
  return stream === undefined && (res as { _header?: unknown })._header === undefined;
}

/**
 * Adds the missing methods and properties to a mock, so that our handlers can call them. Each handler calls this first; for
 * Node's own objects it costs three comparisons.
 */
export function adopt(req: IncomingMessage, res: ServerResponse): void {
  const isStream = (req as { _readableState?: unknown })._readableState !== undefined;
  if (isStream && res.req === req && !isMock(res)) return;
  const http = process.getBuiltinModule("node:http");
  for (const name of ["headers", "socket"]) {
    if (typeof (req as unknown as Members)[name] !== "object") define(req, name, {});
  }
  // Express sets its prototypes on a mock too, and they inherit from Node's: the methods of these do not work on a mock.
  complete(req, REQUEST, !isStream && req instanceof http.IncomingMessage);
  complete(req, EMITTER, false);
  if (!isStream && req instanceof http.IncomingMessage) complete(req, plainEmitter(), true);
  if (!Array.isArray(req.rawHeaders)) define(req, "rawHeaders", flat(req.headers));
  complete(req.socket, SOCKET, false);
  if (res.req === undefined) define(res, "req", req);
  const ownOnly = isMock(res) && res instanceof http.OutgoingMessage;
  const hasHeaders = ownOnly ? Object.hasOwn(res, "getHeader") : typeof res.getHeader === "function";
  if (!hasHeaders) complete(res, headerMethods(), ownOnly);
  complete(res, RESPONSE, ownOnly);
  if (!ownOnly) complete(res, EMITTER, false);
}

type Members = Readonly<Record<string, unknown>>;

/** @param ownOnly whether only the target's own methods count, because those that it inherits do not work on it */
function complete(target: object, members: Members, ownOnly: boolean): void {
  for (const [name, member] of Object.entries(members)) {
    const known = ownOnly && !Object.hasOwn(target, name) ? undefined : (target as Members)[name];
    const isMissing = typeof member === "function" ? typeof known !== "function" : known === undefined;
    if (isMissing) define(target, name, member);
  }
}

/** Not enumerable: a test may compare its mock with what it expects. */
function define(target: object, name: string, value: unknown): void {
  Reflect.defineProperty(target, name, { value, writable: true, configurable: true });
}

function flat(headers: IncomingMessage["headers"]): string[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [String(value)]).flatMap((one) => [name, one]),
  );
}

function same(this: unknown): unknown {
  return this;
}

const EMITTER: Members = {
  on: same,
  once: same,
  off: same,
  addListener: same,
  prependListener: same,
  removeListener: same,
  emit: () => false,
};

/** The listener methods of a Readable expect a stream. */
function plainEmitter(): Members {
  const { on, addListener, off, removeListener } = process.getBuiltinModule("node:events").prototype;
  return { on, addListener, off, removeListener };
}

const REQUEST: Members = {
  method: "GET",
  url: "/",
  httpVersion: "1.1",
  httpVersionMajor: 1,
  httpVersionMinor: 1,
  complete: true, // no body is on its way
  readableLength: 0,
  resume: same,
  pause: same,
  unpipe: same,
  destroy: same,
};

const SOCKET: Members = { ...EMITTER, destroy: same, resetAndDestroy: same };

const RESPONSE: Members = {
  statusCode: 200,
  headersSent: false,
  writableEnded: false,
  writableLength: 0,
  writableCorked: 0,
  appendHeader(this: ServerResponse, name: string, value: string | readonly string[]): unknown {
    const before = this.getHeader(name);
    const list = before === undefined ? [] : [before].flat().map(String);
    return this.setHeader(name, list.concat(value)) ?? this;
  },
  hasHeader(this: ServerResponse, name: string): boolean {
    return this.getHeader(name) !== undefined;
  },
  getHeaderNames(this: ServerResponse): string[] {
    return Object.keys(this.getHeaders?.() ?? {});
  },
  getRawHeaderNames(this: ServerResponse): string[] {
    return this.getHeaderNames();
  },
  removeHeader: () => {},
  writeHead(this: ServerResponse & { headersSent: boolean }, status: number): unknown {
    this.statusCode = status;
    this.headersSent = true;
    return this;
  },
  flushHeaders(this: ServerResponse): void {
    if (!this.headersSent) this.writeHead(this.statusCode);
  },
  write: () => true,
  end(this: ServerResponse & { finished: boolean; writableEnded: boolean }): unknown {
    this.finished = true;
    this.writableEnded = true;
    this.emit("finish");
    return this;
  },
  destroy: same,
  uncork: () => {},
};

/** For a mock without headers that can be read. */
function headerMethods(): Members {
  const headers = new Map<string, OutgoingHttpHeader>();
  return {
    setHeader(this: unknown, name: string, value: OutgoingHttpHeader): unknown {
      headers.set(name.toLowerCase(), value);
      return this;
    },
    getHeader: (name: string) => headers.get(name.toLowerCase()),
    hasHeader: (name: string) => headers.has(name.toLowerCase()),
    getHeaderNames: () => [...headers.keys()],
    getHeaders: () => Object.fromEntries(headers),
    removeHeader: (name: string) => void headers.delete(name.toLowerCase()),
  };
}

/**
 * The HTTP/2 stream of a request; undefined for a request of HTTP/1.
 *
 * The version is not enough: the client wrote it, and Node's parser accepts `GET / HTTP/2.0` on a connection of
 * HTTP/1. The version is checked first because that is cheapest.
 */
export function streamOf(req: IncomingMessage): ServerHttp2Stream | undefined {
  if (!(req.httpVersionMajor >= 2)) return undefined;
  const { stream } = req as unknown as { readonly stream?: ServerHttp2Stream };
  return typeof stream?.respond === "function" ? stream : undefined;
}

const endedHere = new WeakSet<object>();

/** Notes that this side ends a stream: Node reports it as if the client had left. */
export function noteEndedHere(stream: object): void {
  endedHere.add(stream);
}

/** Whether `noteEndedHere` was called for the stream. */
export function isEndedHere(stream: object): boolean {
  return endedHere.has(stream);
}

/** Whether a request has a body, by its head: one of HTTP/2 needs no length. */
export function hasBody(req: IncomingMessage): boolean {
  const { "content-length": length, "transfer-encoding": encoding } = req.headers;
  if (encoding !== undefined) return true;
  if (length !== undefined) return Number(length) !== 0;
  return (streamOf(req) as { readonly endAfterHeaders?: boolean } | undefined)?.endAfterHeaders === false;
}

/** Whether a request came over HTTP/2. */
export function isHttp2(req: IncomingMessage): boolean {
  return req.httpVersionMajor >= 2 && streamOf(req) !== undefined;
}
