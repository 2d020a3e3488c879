import type { isGone } from "./stream.js";

/** What is needed of a response here; it need not be one of a bridged app. */
export interface LateResponse {
  readonly stream: Parameters<typeof isGone>[0];
  readonly writableEnded: boolean;
  [ENDED]?: true;
}

/** `end` was called when the stream was gone, where Node does not remember it. */
export const ENDED = Symbol("express-portico.http2-ended");

/**
 * `write` on a response whose stream was reset, or whose session has ended: it goes nowhere, and its callback gets the
 * error that it gets on HTTP/1.1. Node's own throws.
 */
export function lateWrite(res: LateResponse, ...options: unknown[]): boolean {
  settle(options, res.writableEnded ? "ERR_STREAM_WRITE_AFTER_END" : "ERR_STREAM_DESTROYED");
  return false;
}

/** The same for `end`. On HTTP/1.1 its callback is never called; nobody should have to wait for that. */
export function lateEnd(res: LateResponse, ...options: unknown[]): void {
  settle(options, res.writableEnded ? "ERR_STREAM_ALREADY_FINISHED" : "ERR_STREAM_DESTROYED");
  res[ENDED] = true;
}

function settle(options: unknown[], code: string): void {
  const callback = options.find((option) => typeof option === "function") as
    | ((error: Error) => void)
    | undefined;
  if (callback === undefined) return;
  process.nextTick(callback, Object.assign(new Error("The response's stream has been closed"), { code }));
}
