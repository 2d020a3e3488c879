import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { words } from "../values/words.js";

/** How long the rest of a request is read and dropped after its answer: some clients read the answer only after sending. */
export const DEFAULT_LINGER_MS = 500;

const NGHTTP2_NO_ERROR = 0;
/** How often streams are checked whose last frame waits for the client's flow-control window. */
const CHECK_MS = 1_000;

/** Whether the whole HTTP/2 request has arrived, read or not. */
export function isWhole(stream: ServerHttp2Stream): boolean {
  const { endAfterHeaders } = stream as { readonly endAfterHeaders?: boolean };
  return endAfterHeaders === true || stream.readableEnded || stream.state.remoteClose === 1;
}

const ending = new WeakSet<ServerHttp2Stream>();

/**
 * Ends an HTTP/2 stream after its response was sent: the rest of the request is dropped, and if it does not end in time,
 * the client is asked to stop, without an error (RFC 9113 section 8.1). An open stream would keep its session and its
 * response in memory, and count as one of the client's streams.
 */
export function endEarly(req: IncomingMessage, stream: ServerHttp2Stream, lingerMs: number): void {
  if (stream.destroyed || stream.closed || ending.has(stream) || isWhole(stream)) return;
  ending.add(stream);
  const begin = () => {
    if (stream.destroyed || stream.closed) return;
    stream.resume(); // if nothing reads it yet
    const timer = setTimeout(closeWhenSent, lingerMs, req, stream).unref();
    stream.prependListener("close", () => clearTimeout(timer));
  };
  if (stream.writableFinished) begin();
  else stream.once("finish", begin);
}

/** Streams to close once their whole response was sent, with their requests. */
const waiting = new Map<ServerHttp2Stream, IncomingMessage>();
let checks: NodeJS.Timeout | undefined;

/**
 * Closes the stream as soon as the end of the response was sent: an earlier reset would make Node drop it.
 *
 * Node emits 'wantTrailers' when the body was sent; the frame that ends it follows in the same turn. If the client's window
 * delays that frame, there is no event: one timer checks all such streams.
 */
export function closeWhenSent(req: IncomingMessage, stream: ServerHttp2Stream): void {
  if (waiting.has(stream) || closeIfSent(req, stream)) return;
  waiting.set(stream, req);
  stream.prependListener("close", () => forget(stream));
  const check = () => {
    if (waiting.has(stream) && closeIfSent(req, stream)) forget(stream);
  };
  if (stream.sentTrailers === undefined) stream.once("wantTrailers", () => setImmediate(check));
  else setImmediate(check);
  checks ??= setInterval(checkAll, CHECK_MS).unref();
}

function closeIfSent(req: IncomingMessage, stream: ServerHttp2Stream): boolean {
  if (stream.destroyed || stream.closed) return true;
  if (stream.state.localClose !== 1) return false;
  const isPartial = !isWhole(stream);
  stream.close(NGHTTP2_NO_ERROR);
  if (isPartial) abortBody(req);
  return true;
}

function checkAll(): void {
  for (const [stream, req] of waiting) if (closeIfSent(req, stream)) forget(stream);
}

function forget(stream: ServerHttp2Stream): void {
  waiting.delete(stream);
  if (waiting.size > 0) return;
  clearInterval(checks);
  checks = undefined;
}

/**
 * Fails a request's body for its readers, as the rest of it will not come. On HTTP/2 Node would end it, so that a part would
 * look like the whole; on HTTP/1, after the response has ended, it would do nothing, and readers would wait for ever.
 */
export function abortBody(req: IncomingMessage): void {
  if (req.destroyed) return;
  const error = Object.assign(new Error("aborted"), { code: "ECONNRESET" });
  req.destroy(req.listenerCount("error") > 0 ? error : undefined);
}

/** Besides `Content-*`: headers that described the replaced body, or allowed to store it. */
const REPLACED_BODY_HEADERS = new Set(
  words(
    "accept-ranges age cache-control cdn-cache-control digest etag expires last-modified location pragma",
    "refresh repr-digest surrogate-control trailer transfer-encoding",
  ),
);

/** Whether a header that was set before an error must not be on the error's answer. */
export function belongsToReplacedBody(name: string, status?: number): boolean {
  const lower = name.toLowerCase();
  if (lower === "content-range" && status === 416) return false; // it has the length of the whole (RFC 9110 section 15.5.17)
  if (lower.startsWith("content-")) return !lower.startsWith("content-security-policy");
  return REPLACED_BODY_HEADERS.has(lower);
}

/** @param status of the answer that replaces the body */
export function dropReplacedBodyHeaders(res: ServerResponse, status?: number): void {
  for (const name of res.getHeaderNames()) {
    if (belongsToReplacedBody(name, status)) res.removeHeader(name);
  }
}
