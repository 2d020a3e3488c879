import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { isHttp2, isMute, isServed, streamOf } from "../request/transport.js";
import { abortBody, DEFAULT_LINGER_MS, endEarly } from "./early-response.js";
import { endHooks } from "./end-hooks.js";
import { beforeHead } from "./head-hooks.js";

/** Connections whose last answer says `Connection: close`. */
const closing = new WeakSet<Socket>();

/** A server must not process a request that came after its `Connection: close` (RFC 9112 section 9.6). */
export function isClosing(socket: Socket): boolean {
  return closing.has(socket);
}

/** A body this small that is still under way is read and dropped, and the connection kept. */
const MAX_DRAINED_BYTES = 65_536;

/**
 * Whether the connection should not be kept after an early answer, because the request's body is still coming and
 * its end is far or unknown.
 */
export function hasUnreadBody(req: IncomingMessage): boolean {
  if (req.complete || isHttp2(req)) return false;
  const length = req.headers["content-length"];
  return length === undefined
    ? req.headers["transfer-encoding"] !== undefined
    : !(Number(length) <= MAX_DRAINED_BYTES);
}

/**
 * Makes this the last response of its connection; on HTTP/2 the session ends with one GOAWAY, while its other
 * streams finish. Must be called before the head is written.
 */
export function closeAfter(req: IncomingMessage, res: ServerResponse, lingerMs: number): void {
  if (isHttp2(req)) {
    (res as unknown as Http2Response).stream?.session?.close();
    return;
  }
  if (!isServed(req, res)) return; // there is no connection
  res.setHeader("Connection", "close");
  beforeHead(res, setClose, undefined); // whatever is set meanwhile: what is promised to the doomed must be true
  if (!req.socket) return;
  closing.add(req.socket);
  if (!req.complete) {
    linger(req.socket, lingerMs);
    req.socket.once("close", () => {
      if (!req.complete) abortBody(req);
    });
  }
}

function setClose(res: ServerResponse): void {
  res.setHeader("Connection", "close");
}

/**
 * Lingering close (RFC 9112 section 9.6): to close at once while the client still sends makes the system answer with
 * a reset, which can take the response from the client's hands before it was read. So the writing side is closed,
 * and the rest is read and dropped for a while.
 */
function linger(socket: Socket, lingerMs: number): void {
  socket.destroySoon = function destroySoon() {
    if (socket.writable) socket.end();
    const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
    socket.once("close", () => clearTimeout(timer));
  };
}

/** Lets what is left of the request's body flow past, whoever was reading it; on HTTP/2 not for ever. */
export function dropBody(req: IncomingMessage, lingerMs = DEFAULT_LINGER_MS): void {
  if (req.complete && req.readableLength === 0) return;
  req.unpipe?.();
  req.resume?.();
  const stream = streamOf(req);
  if (stream !== undefined) endEarly(req, stream, lingerMs);
}

/** Responses that had to wait for those before them, as their requests were sent without waiting. */
const pipelined = new WeakSet<ServerResponse>();

/** To be called when a request comes, with whether others are under way on its connection. */
export function notePipelined(res: ServerResponse): void {
  pipelined.add(res);
}

/**
 * Ends a response whose head was already sent so that the client can see that it is not whole: by a reset, for a
 * plain end of the connection would pass for the end of a body without a length. A reset takes what the client has not
 * read yet, so after pipelined answers it is the last resort.
 */
export function truncate(res: ServerResponse): void {
  const { stream } = res as unknown as Http2Response;
  if (stream !== undefined) {
    stream.close(2 /* NGHTTP2_INTERNAL_ERROR */);
    return;
  }
  const { socket, req } = res;
  if (!isServed(req, res)) giveUp(res);
  else if (socket === null) res.destroy();
  else if (pipelined.has(res)) endAfterOthers(res, socket);
  else reset(socket);
}

/**
 * Without a server there is no connection to reset: an adapter that waits for the response gets an 'error', as it
 * will not be whole.
 */
function giveUp(res: ServerResponse): void {
  let isClosed = false;
  res.once("close", () => {
    isClosed = true;
  });
  res.destroy();
  setImmediate(() => {
    if (!isClosed && !isMute(res) && res.listenerCount("error") > 0) {
      res.emit("error", Object.assign(new Error("the response was given up"), { code: "ECONNRESET" }));
    }
    endHooks(res);
  });
}

/**
 * The answers before this one have been handed to the system, and are to arrive. Where the framing shows that the body
 * is not whole, the connection just ends; else it is reset after a time in which the client can have read them.
 */
function endAfterOthers(res: ServerResponse, socket: Socket): void {
  closing.add(socket);
  const isFramed = !res.headersSent || res.chunkedEncoding || res.hasHeader("Content-Length");
  if (isFramed && socket.writable) socket.end();
  socket.resume();
  const end = () => (isFramed ? socket.destroy() : reset(socket));
  const timer = setTimeout(end, DEFAULT_LINGER_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}

/**
 * Drops the connection with a TCP reset. Under TLS it is the socket below that is reset: a plain `destroy` would still
 * send a close_notify, which says that all is well.
 */
export function reset(
  socket: (Socket & { encrypted?: boolean; _parent?: Socket | null }) | null | undefined,
): void {
  if (socket === null || socket === undefined) return;
  try {
    if (socket.encrypted) socket._parent?.resetAndDestroy();
    else socket.resetAndDestroy();
  } catch {
    // A Unix socket has no reset.
  }
  socket.destroy?.();
}

interface Http2Response {
  readonly stream?: { close(code: number): void; readonly session?: { close(): void } };
}

/** However often it was corked: Node does so when a response ends. */
export function uncorkAll(res: ServerResponse): void {
  for (let corks = res.writableCorked; corks > 0; corks--) res.uncork();
}
