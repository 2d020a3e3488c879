import type { IncomingMessage } from "node:http";
import { requestFields } from "../lib/log/request-fields.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { stateOf } from "../lib/request/state.js";
import { asError, describeThrown } from "../lib/values/thrown.js";

/** Whether `next(value)` passes an error. In Express a falsy value, "route" and "router" are no errors. */
export function isError(value: unknown): boolean {
  return Boolean(value) && value !== "route" && value !== "router";
}

/** The value to pass to `next` for a thrown value. A value that Express would not treat as an error is wrapped. */
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

/** The handler that a message is about, with its index if it is in a chain. */
export interface Subject {
  readonly name: string;
  readonly index?: number | undefined;
}

/** Logs a mistake that does not change the request. */
export function warn(req: IncomingMessage, subject: Subject, what: string, error?: unknown): void {
  const fields =
    error === undefined ? requestFields(req) : { ...requestFields(req), error: describeThrown(error) };
  stderrLogger.warn(fields, message(subject, what));
}

/** Logs an error that can no longer be given to an error handler. */
export function reportUnhandled(req: IncomingMessage, subject: Subject, what: string, error: unknown): void {
  stderrLogger.error({ ...requestFields(req), error: describeThrown(error) }, message(subject, what));
}

function message({ name, index }: Subject, what: string): string {
  return index === undefined ? `${name} ${what}` : `chain: ${name} (index ${index}) ${what}`;
}
