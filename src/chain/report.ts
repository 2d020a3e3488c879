import type { IncomingMessage } from "node:http";
import { requestFields } from "../lib/log/request-fields.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { describeThrown } from "../lib/values/thrown.js";

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
