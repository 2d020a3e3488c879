import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";

/** How long the rest of a request is read, and dropped, after its answer: some clients read it only then. */
export const DEFAULT_LINGER_MS = 500;

const NGHTTP2_NO_ERROR = 0;
/** How often streams are looked at whose last frame waits for the client's leave. */
const LOOK_MS = 1_000;

/** Whether all of an HTTP/2 request has come, be it read or not. */
export function isWhole(stream: ServerHttp2Stream): boolean {
  const { endAfterHeaders } = stream as { readonly endAfterHeaders?: boolean };
  return endAfterHeaders === true || stream.readableEnded || stream.state.remoteClose === 1;
}

const ending = new WeakSet<ServerHttp2Stream>();

/**
 * Ends an HTTP/2 stream whose request is of no use any more, once the response has gone out whole: the rest of the
 * request is dropped, and if it does not come to its end within the time the client is asked to stop, without an error
 * (RFC 9113 section 8.1). A stream that is left open would keep its session, its response and its place among the
 * streams that the client may have.
 */
export function endEarly(req: IncomingMessage, stream: ServerHttp2Stream, lingerMs: number): void {
  if (stream.destroyed || stream.closed || ending.has(stream) || isWhole(stream)) return;
  ending.add(stream);
  const begin = () => {
    if (stream.destroyed || stream.closed) return;
    stream.resume(); // what nobody has begun to read; the request itself was left to flow by whoever ends it
    const timer = setTimeout(closeWhenSent, lingerMs, req, stream).unref();
    stream.prependListener("close", () => clearTimeout(timer));
  };
  if (stream.writableFinished) begin();
  else stream.once("finish", begin);
}

/** Streams to close whose response has not yet gone out whole, with their requests. */
const waiting = new Map<ServerHttp2Stream, IncomingMessage>();
let looks: NodeJS.Timeout | undefined;

/**
 * Closes the stream as soon as the end of the response has gone out: Node would drop it in favour of the reset.
 *
 * Node says when the body is out ('wantTrailers'); the frame that ends it follows in the same turn. Only where the
 * client's window holds that frame back there is no event. One timer looks after all of these, however many there are.
 */
export function closeWhenSent(req: IncomingMessage, stream: ServerHttp2Stream): void {
  if (waiting.has(stream) || closeIfSent(req, stream)) return;
  waiting.set(stream, req);
  stream.prependListener("close", () => forget(stream));
  const look = () => {
    if (waiting.has(stream) && closeIfSent(req, stream)) forget(stream);
  };
  if (stream.sentTrailers === undefined) stream.once("wantTrailers", () => setImmediate(look));
  else setImmediate(look);
  looks ??= setInterval(lookAtAll, LOOK_MS).unref();
}

function closeIfSent(req: IncomingMessage, stream: ServerHttp2Stream): boolean {
  if (stream.destroyed || stream.closed) return true;
  if (stream.state.localClose !== 1) return false;
  const isCut = !isWhole(stream);
  stream.close(NGHTTP2_NO_ERROR);
  if (isCut) abortBody(req);
  return true;
}

function lookAtAll(): void {
  for (const [stream, req] of waiting) if (closeIfSent(req, stream)) forget(stream);
}

function forget(stream: ServerHttp2Stream): void {
  waiting.delete(stream);
  if (waiting.size > 0) return;
  clearInterval(looks);
  looks = undefined;
}

/**
 * Tells whoever still reads a body that the rest of it will not come: Node would end it on HTTP/2, and they would take
 * what has come for the whole; on HTTP/1, after the response has ended, it would say nothing, and they would wait for
 * ever, with whatever they hold open.
 */
export function abortBody(req: IncomingMessage): void {
  if (req.destroyed) return;
  const error = Object.assign(new Error("aborted"), { code: "ECONNRESET" });
  req.destroy(req.listenerCount("error") > 0 ? error : undefined);
}

/** Besides `Content-*`: what described the body that is lost, or let it be stored. */
const OF_THE_LOST_BODY = new Set([
  "accept-ranges",
  "age",
  "cache-control",
  "cdn-cache-control",
  "digest",
  "etag",
  "expires",
  "last-modified",
  "location",
  "pragma",
  "refresh",
  "repr-digest",
  "surrogate-control",
  "trailer",
  "transfer-encoding",
]);

/** Whether a header that was set before the error has no place on its answer. */
export function belongsToLostBody(name: string, status?: number): boolean {
  const lower = name.toLowerCase();
  if (lower === "content-range" && status === 416) return false; // RFC 9110 section 15.5.17: how long the whole is
  if (lower.startsWith("content-")) return !lower.startsWith("content-security-policy");
  return OF_THE_LOST_BODY.has(lower);
}

/** @param status of the answer that takes the body's place */
export function dropLostBody(res: ServerResponse, status?: number): void {
  for (const name of res.getHeaderNames()) {
    if (belongsToLostBody(name, status)) res.removeHeader(name);
  }
}
