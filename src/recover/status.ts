import type { ServerResponse } from "node:http";
import { hasOwn, peek } from "../lib/values/thrown.js";

/** Own properties of the errors of HTTP clients (axios, got, ky, the AWS SDK), which have the status of another server. */
const HTTP_CLIENT_PROPERTIES = ["response", "request", "config", "$metadata"] as const;

/**
 * The status of an error: its integer `status`, else `statusCode`, from 400 to 599, as Express reads them. The status of
 * an HTTP client's error does not count: it came from another server.
 */
export function statusOfError(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || isHttpClientError(error)) return undefined;
  const status = peek(error, "status");
  if (isErrorStatus(status)) return status;
  const statusCode = peek(error, "statusCode");
  return isErrorStatus(statusCode) ? statusCode : undefined;
}

/** The status that was set before the error was thrown (`res.status(404)`), if it is 400 to 599 and was not sent. */
export function statusOfResponse(res: ServerResponse): number | undefined {
  return !res.headersSent && isErrorStatus(res.statusCode) ? res.statusCode : undefined;
}

export function isErrorStatus(status: unknown): status is number {
  return Number.isInteger(status) && (status as number) >= 400 && (status as number) <= 599;
}

export function isHttpClientError(error: object): boolean {
  return HTTP_CLIENT_PROPERTIES.some((mark) => hasOwn(error, mark));
}

/** Whether the error itself allows its message to be shown; never for a server error. */
export function exposesMessage(error: unknown, status: number): boolean {
  return status < 500 && peek(error, "expose") === true;
}
