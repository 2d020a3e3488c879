import type { IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";

/** How long the rest of a request is read, and dropped, after its answer: some clients read it only then. */
export const DEFAULT_LINGER_MS = 500;

const NGHTTP2_NO_ERROR = 0;
/** Between two looks at whether the answer has gone out. */
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 1_000;

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

/** Closes the stream as soon as the end of the response has gone out: Node would drop it in favour of the reset. */
export function closeWhenSent(
  req: IncomingMessage,
  stream: ServerHttp2Stream,
  pauseMs = FIRST_PAUSE_MS,
): void {
  if (stream.destroyed || stream.closed) return;
  if (stream.state.localClose !== 1) {
    const next = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    setTimeout(closeWhenSent, pauseMs, req, stream, next).unref();
    return;
  }
  const isCut = !isWhole(stream);
  stream.close(NGHTTP2_NO_ERROR);
  if (isCut) abortBody(req);
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
