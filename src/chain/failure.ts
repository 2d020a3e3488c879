import type { IncomingMessage } from "node:http";
import { stateOf } from "../lib/request/state.js";
import { asError } from "../lib/values/thrown.js";

/** Whether `next(value)` passes an error. In Express a falsy value, "route" and "router" are no errors. */
export function isError(value: unknown): boolean {
  return Boolean(value) && value !== "route" && value !== "router";
}

/** The value to pass to `next` for a thrown value. A value that Express would not take for an error is wrapped. */
export function fromThrow(value: unknown): unknown {
  return isError(value) ? value : asError(value);
}

/** The same for a rejection. Without a reason it gets the message that Express 5 uses. */
export function fromRejection(value: unknown): unknown {
  return value ? fromThrow(value) : new Error("Rejected promise");
}

/** Keeps the first error of a request, for the outcome in `around`. */
export function noteError(req: IncomingMessage, error: unknown): void {
  stateOf(req).noted ??= { error };
}
