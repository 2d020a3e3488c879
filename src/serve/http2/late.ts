import type { isGone } from "./stream.js";

/** The members of a response that are used here; the response of a plain listener has them too. */
export interface LateResponse {
  readonly stream: Parameters<typeof isGone>[0];
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
