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
    const chunks: Buffer[] = [];
    let length = 0;

    function onData(chunk: Buffer): void {
      length += chunk.length;
      if (length > maxBytes) settle("too large");
      else chunks.push(chunk);
    }
    // On HTTP/2 the body of a client that left ends like any other.
    const onEnd = () => settle(req.aborted ? "gone" : Buffer.concat(chunks));
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
  });
}
