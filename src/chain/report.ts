import type { IncomingMessage } from "node:http";
import { pathOf } from "../lib/http/target.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { stateOf } from "../lib/request/state.js";
import { describeThrown } from "../lib/values/thrown.js";

/** The handler that a message is about, with its index if it is in a chain. */
export interface Subject {
  readonly name: string;
  readonly index?: number | undefined;
}

/** Logs a mistake that does not change the request. */
export function warn(req: IncomingMessage, subject: Subject, what: string, error?: unknown): void {
  const fields = error === undefined ? fieldsOf(req) : { ...fieldsOf(req), error: describeThrown(error) };
  stderrLogger.warn(fields, message(subject, what));
}

/** Logs an error that can no longer be given to an error handler. */
export function reportLost(req: IncomingMessage, subject: Subject, what: string, error: unknown): void {
  stderrLogger.error({ ...fieldsOf(req), error: describeThrown(error) }, message(subject, what));
}

function message({ name, index }: Subject, what: string): string {
  return index === undefined ? `${name} ${what}` : `chain: ${name} (index ${index}) ${what}`;
}

function fieldsOf(req: IncomingMessage): object {
  const requestId = stateOf(req).id;
  return { method: req.method, path: pathOf(req), ...(requestId !== undefined && { requestId }) };
}
