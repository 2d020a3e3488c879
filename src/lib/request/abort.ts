import type { Facts } from "./state.js";

/** Aborts the request's signal, also if nobody has asked for it yet. The first reason stands. */
export function abortRequest(facts: Facts, reason: unknown): void {
  if (facts.reason !== undefined) return;
  facts.reason = reason;
  facts.controller?.abort(reason);
}

/** What `AbortSignal.timeout` gives as its reason, too. */
export function timeoutError(message: string): DOMException {
  return new DOMException(message, "TimeoutError");
}
