import type { IncomingMessage } from "node:http";

/** A report is small, and comes at once: whoever takes longer keeps a place that others need. */
const READ_WITHIN_MS = 10_000;

export type BodyOutcome = Buffer | "too large" | "too slow" | "gone";

/**
 * Reads a request's body up to a limit, and stops there: the rest is left to flow past. Never rejects, and leaves no
 * listener behind.
 */
export function readBody(
  req: IncomingMessage,
  maxBytes: number,
  withinMs = READ_WITHIN_MS,
): Promise<BodyOutcome> {
  if (Number(req.headers["content-length"]) > maxBytes) return Promise.resolve("too large");
  return new Promise((resolve) => {
    // One buffer, not a list: in a list, a body whose every byte comes in a chunk of its own takes a hundred times its length.
    let body = Buffer.alloc(0);
    let length = 0;

    function onData(chunk: Buffer | string): void {
      // Text comes where somebody before has called `setEncoding`.
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
    // On HTTP/2 the body of a client that left ends like any other.
    const onEnd = () => settle(req.aborted ? "gone" : body.subarray(0, length));
    // Not on 'aborted': an 'error' follows it, and must still find a listener.
    const onGone = () => settle("gone");
    const timer = setTimeout(() => settle("too slow"), withinMs).unref();

    function settle(outcome: BodyOutcome): void {
      clearTimeout(timer);
      req.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      resolve(outcome);
    }
    if (req.destroyed) return onGone();
    req.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone);
    req.resume(); // somebody before may have paused it: a listener alone would not make it flow again
  });
}
