import type { IncomingMessage } from "node:http";
import { stateOf } from "../lib/request/state.js";
import { asError } from "../lib/values/thrown.js";

/** What `next` was called with: Express takes every falsy value for "go on", and two words for a way out. */
export function isError(value: unknown): boolean {
  return Boolean(value) && value !== "route" && value !== "router";
}

/** A thrown value as `next` can carry it: none that Express would take for "go on". */
export function fromThrow(value: unknown): unknown {
  return isError(value) ? value : asError(value);
}

/** The same for a rejection; one without a reason is named as Express 5 names it. */
export function fromRejection(value: unknown): unknown {
  return value ? fromThrow(value) : new Error("Rejected promise");
}

/** Keeps the first error of a request, for those on the way up. */
export function noteError(req: IncomingMessage, error: unknown): void {
  stateOf(req).noted ??= { error };
}
