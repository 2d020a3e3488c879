import type { IncomingMessage } from "node:http";

/** Reports are small; a client that needs longer only holds a connection. */
const READ_WITHIN_MS = 10_000;

export type BodyResult = Buffer | "too large" | "too slow" | "gone";

/**
 * Reads the body of a request up to a limit; the rest flows on unread. Never rejects, and removes all its listeners.
 */
export function readBody(
  req: IncomingMessage,
  maxBytes: number,
  withinMs = READ_WITHIN_MS,
): Promise<BodyResult> {
  if (Number(req.headers["content-length"]) > maxBytes) return Promise.resolve("too large");
  return new Promise((resolve) => {
    // One buffer, not a list of chunks: chunks of one byte each would take a hundred times the memory.
    let body = Buffer.alloc(0);
    let length = 0;

    function onData(chunk: Buffer | string): void {
      // A string, if an earlier handler has called `setEncoding`.
      const bytes = typeof chunk === "string" ? Buffer.from(chunk, req.readableEncoding ?? "utf8") : chunk;
      const end = length + bytes.length;
      if (end > maxBytes) {
        settle("too large");
        return;
      }
      if (end > body.length) body = Buffer.concat([body], Math.min(maxBytes, Math.max(end, 2 * body.length)));
      body.set(bytes, length);
      length = end;
    }
    // On HTTP/2, 'end' is also emitted when the client has left.
    const onEnd = () => settle(req.aborted ? "gone" : body.subarray(0, length));
    // Not on 'aborted': an 'error' follows, which needs a listener.
    const onGone = () => settle("gone");
    const timer = setTimeout(() => settle("too slow"), withinMs).unref();

    function settle(result: BodyResult): void {
      clearTimeout(timer);
      req.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      resolve(result);
    }
    if (req.destroyed) return onGone();
    req.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone);
    req.resume(); // an earlier handler may have paused it, and a listener alone would not resume it
  });
}
