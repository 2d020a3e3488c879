import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { noteEndedHere } from "../../lib/request/transport.js";
import { words } from "../../lib/values/words.js";

const NGHTTP2_INTERNAL_ERROR = 2;

/** Whether nothing can be sent on a stream: either side has reset it, or its session has ended. */
export function isGone(stream: ServerHttp2Stream): boolean {
  return stream.closed || stream.destroyed;
}

/**
 * Resets a stream, so that the client sees that the response is not complete. Node's own `stream.destroy()` sends
 * RST_STREAM with NO_ERROR, which looks like a regular end to clients.
 */
export function truncate(stream: ServerHttp2Stream): void {
  if (stream.closed || stream.destroyed || stream.writableFinished) return;
  noteEndedHere(stream);
  stream.close(NGHTTP2_INTERNAL_ERROR);
}

/** Makes `req.socket.destroy()` truncate the response: Express calls it for an error after the head was sent. */
export function truncateOnDestroy(stream: ServerHttp2Stream): void {
  if (stream.destroy !== destroy) stream.destroy = destroy;
}

/** One function for all streams. */
function destroy(this: ServerHttp2Stream, error?: Error): ServerHttp2Stream {
  if (error === undefined || error === null) truncate(this);
  return Object.getPrototypeOf(this).destroy.call(this, error);
}

const CONNECTION = Symbol("express-portico.http2-connection");
const CLOSED_SOCKET = Symbol("express-portico.http2-closed-socket");

type KeptStream = ServerHttp2Stream & { [CONNECTION]?: Socket; [CLOSED_SOCKET]?: object };

/** Keeps the socket of a stream's session: once the stream is closed, Node no longer has it. */
export function keepConnection(stream: ServerHttp2Stream, socket: Socket): void {
  (stream as KeptStream)[CONNECTION] = socket;
}

/** Properties of the connection that a request keeps when its stream is closed (`req.ip`, `req.secure`). */
const LASTING: ReadonlySet<PropertyKey> = new Set(
  words(
    "remoteAddress remotePort remoteFamily localAddress localPort localFamily encrypted authorized servername",
  ),
);

const HEAD_SOCKET = Symbol("express-portico.http2-head-socket");

/**
 * The socket of a HEAD request whose stream is open. Node ends such a stream before the handler runs. Its `writable` is
 * then false, and `on-finished` (and so Express's files) would think that the client has left.
 */
export function socketOfHeadRequest(stream: KeptStream & { [HEAD_SOCKET]?: object }, socket: object): object {
  return (stream[HEAD_SOCKET] ??= new Proxy(socket, {
    get: (target, name) => (name === "writable" ? !isGone(stream) : Reflect.get(target, name)),
  }));
}

/** `req.socket` of a closed stream: Node's own, with the properties of the connection that HTTP/1 keeps. */
export function closedSocket(stream: KeptStream, socket: object): object {
  const connection = stream[CONNECTION];
  if (connection === undefined) return socket;
  return (stream[CLOSED_SOCKET] ??= new Proxy(socket, {
    get: (target, name) => Reflect.get(LASTING.has(name) ? connection : target, name),
  }));
}

/** The members of a response that are used here; the response of a plain listener has them too. */
export interface LateResponse {
  readonly stream: ServerHttp2Stream;
  readonly writableEnded: boolean;
  [ENDED]?: true;
}

/** Set if `end` was called after the stream was gone, which Node does not record. */
export const ENDED = Symbol("express-portico.http2-ended");

/**
 * `write` on a response whose stream was reset, or whose session has ended: the data is dropped, and the callback gets
 * the error of HTTP/1.1. Node's own method throws.
 */
export function lateWrite(res: LateResponse, ...options: unknown[]): boolean {
  callBackWithError(options, res.writableEnded ? "ERR_STREAM_WRITE_AFTER_END" : "ERR_STREAM_DESTROYED");
  return false;
}

/** The same for `end`. (On HTTP/1.1 the callback is never called, and code that awaits it hangs.) */
export function lateEnd(res: LateResponse, ...options: unknown[]): void {
  callBackWithError(options, res.writableEnded ? "ERR_STREAM_ALREADY_FINISHED" : "ERR_STREAM_DESTROYED");
  res[ENDED] = true;
}

function callBackWithError(options: unknown[], code: string): void {
  const callback = options.find((option) => typeof option === "function") as
    | ((error: Error) => void)
    | undefined;
  if (callback === undefined) return;
  process.nextTick(callback, Object.assign(new Error("The response's stream has been closed"), { code }));
}

/** The getter of an inherited accessor. */
export function getterOf<This, Value>(prototype: object, name: string): (this: This) => Value {
  return Object.getOwnPropertyDescriptor(prototype, name)!.get as (this: This) => Value;
}
