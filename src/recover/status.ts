import type { ServerResponse } from "node:http";
import { hasOwn, peek } from "../lib/values/thrown.js";

/** What errors of HTTP clients (axios, got, ky, the AWS SDK) have of their own: their status is another server's. */
const MARKS_OF_CLIENTS = ["response", "request", "config", "$metadata"] as const;

/**
 * The status that an error asks for: its own integer `status`, else `statusCode`, from 400 to 599, as Express reads
 * them. An error of an HTTP client asks for none: its 401 is not ours.
 */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || isClientError(error)) return undefined;
  const status = peek(error, "status");
  if (isErrorStatus(status)) return status;
  const statusCode = peek(error, "statusCode");
  return isErrorStatus(statusCode) ? statusCode : undefined;
}

/** The status that was set before the error was thrown (`res.status(404)`), if it is an error's and was not sent. */
export function statusSetOn(res: ServerResponse): number | undefined {
  return !res.headersSent && isErrorStatus(res.statusCode) ? res.statusCode : undefined;
}

export function isErrorStatus(status: unknown): status is number {
  return Number.isInteger(status) && (status as number) >= 400 && (status as number) <= 599;
}

export function isClientError(error: object): boolean {
  return MARKS_OF_CLIENTS.some((mark) => hasOwn(error, mark));
}

/** Whether the error itself says that its message may be shown. A server error's never is. */
export function exposesItself(error: unknown, status: number): boolean {
  return status < 500 && peek(error, "expose") === true;
}
