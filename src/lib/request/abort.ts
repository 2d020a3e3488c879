import type { RequestState } from "./state.js";

/** Aborts the request's signal, also if nobody has asked for it yet. The first reason stands. */
export function abortRequest(state: RequestState, reason: unknown): void {
  if (state.reason !== undefined) return;
  state.reason = reason;
  state.controller?.abort(reason);
}

/** What `AbortSignal.timeout` gives as its reason, too. */
export function timeoutError(message: string): DOMException {
  return new DOMException(message, "TimeoutError");
}
