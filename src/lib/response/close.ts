import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { isHttp2, isMute, isServed, streamOf } from "../request/transport.js";
import { abortBody, DEFAULT_LINGER_MS, endEarly } from "./early-response.js";
import { endHooks } from "./end-hooks.js";
import { beforeHead } from "./intercept.js";

/** Connections that end after the answer that is being sent. */
const closing = new WeakSet<Socket>();

/** A server must not process a request that came after its `Connection: close` (RFC 9112 section 9.6). */
export function isClosing(socket: Socket): boolean {
  return closing.has(socket);
}

/** The rest of a body up to this size is read and dropped, and the connection kept. */
const MAX_DROPPED_BYTES = 65_536;

/**
 * Whether an early response should close the connection, because the rest of the request's body is large or of unknown
 * length.
 */
export function shouldCloseEarly(req: IncomingMessage): boolean {
  if (req.complete || isHttp2(req)) return false;
  const length = req.headers["content-length"];
  return length === undefined
    ? req.headers["transfer-encoding"] !== undefined
    : !(Number(length) <= MAX_DROPPED_BYTES);
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
  beforeHead(res, setClose, undefined); // set again when the head is written: a closing connection must say so
  if (!req.socket) return;
  closing.add(req.socket);
  if (!req.complete) {
    lingerOnClose(req, lingerMs);
    req.socket.once("close", () => {
      if (!req.complete) abortBody(req);
    });
  }
}

function setClose(res: ServerResponse): void {
  res.setHeader("Connection", "close");
}

/** Makes Node's close after the last response a lingering one, if the request's body is not complete by then. */
export function lingerOnClose(req: IncomingMessage, lingerMs = DEFAULT_LINGER_MS): void {
  if (req.complete || !req.socket) return;
  req.socket.destroySoon = () => endConnection(req, lingerMs);
}

/** Ends the connection after a response that has ended. */
export function endConnection(req: IncomingMessage, lingerMs = DEFAULT_LINGER_MS): void {
  const { socket } = req;
  if (req.complete) {
    Object.getPrototypeOf(socket).destroySoon.call(socket); // Node's own: it may have been replaced by one that lingers
    return;
  }
  dropBody(req);
  linger(socket, lingerMs);
}

/**
 * Lingering close (RFC 9112 section 9.6): closing a connection with unread data resets it, and the client could lose the
 * response. So only the writing side is closed, and the rest of the data is read and dropped for a while.
 */
export function linger(socket: Socket, lingerMs = DEFAULT_LINGER_MS): void {
  if (socket.destroyed) return;
  if (socket.writable) socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once("close", () => clearTimeout(timer));
}

/** Reads and drops the rest of the request's body; on HTTP/2 for a limited time. */
export function dropBody(req: IncomingMessage, lingerMs = DEFAULT_LINGER_MS): void {
  if (req.complete && req.readableLength === 0) return;
  req.unpipe?.();
  req.resume?.();
  const stream = streamOf(req);
  if (stream !== undefined) endEarly(req, stream, lingerMs);
}

/** Pipelined responses: an earlier response of the connection was unfinished when their request came. */
const pipelined = new WeakSet<ServerResponse>();

/** To be called when a request comes before earlier ones of its connection are answered. */
export function notePipelined(res: ServerResponse): void {
  pipelined.add(res);
}

/**
 * Truncates a response after its head was sent, by a reset: for a body without a length, a closed connection looks like the
 * end. A reset also loses data that the client has not read, so after pipelined answers it is used only if necessary.
 */
export function truncate(res: ServerResponse): void {
  const { stream } = res as unknown as Http2Response;
  if (stream !== undefined) {
    stream.close(2 /* NGHTTP2_INTERNAL_ERROR */);
    return;
  }
  const { socket, req } = res;
  if (!isServed(req, res)) truncateUnserved(res);
  else if (socket === null) res.destroy();
  else if (pipelined.has(res)) endAfterOthers(res, socket);
  else reset(socket);
}

/**
 * Without a server there is no connection to reset: an adapter that waits for the response gets an 'error'.
 */
function truncateUnserved(res: ServerResponse): void {
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
 * Truncates a response after pipelined answers, which an immediate reset could lose. If the framing (chunks,
 * Content-Length) shows that the body is incomplete, the connection ends. If not, it is reset after the client has had time
 * to read the earlier answers.
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
 * Closes the connection with a TCP reset. With TLS the socket below is reset: `destroy` would send a close_notify, which
 * means a regular end.
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
