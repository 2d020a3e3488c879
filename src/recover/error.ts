import type { ServerResponse } from "node:http";
import { isBag } from "../lib/config/checker.js";
import { isHeaderValue } from "../lib/http/tokens.js";
import { hasOwn, peek } from "../lib/values/thrown.js";

const BRAND: unique symbol = Symbol.for("express-portico/abort-request") as never;

/**
 * Throw it to drop the connection: no response, and nothing in the error log. Same as Go's `http.ErrAbortHandler`.
 *
 * @example
 * if (isAbuse(req)) throw new AbortRequest();
 *
 * @example
 * // With a reason, for code that catches it:
 * throw new AbortRequest("the upstream stopped half-way");
 */
export class AbortRequest extends Error {
  override readonly name = "AbortRequest";
  readonly [BRAND] = true;

  constructor(message = "the request was aborted on purpose") {
    super(message);
  }
}

/** True also for an AbortRequest of another installed copy of this package. */
export function isAbortRequest(value: unknown): boolean {
  try {
    return (value as AbortRequest | null | undefined)?.[BRAND] === true;
  } catch {
    return false;
  }
}

/** Own properties of errors of HTTP clients (axios, got, ky, the AWS SDK). Their status came from another server. */
const HTTP_CLIENT_PROPERTIES = ["response", "request", "config", "$metadata"] as const;

/**
 * The status of an error: its integer `status`, else `statusCode`, from 400 to 599, as Express reads them. The status
 * of an HTTP client's error does not count: it came from another server.
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

/** NestJS's HttpException has a `response` too, but it is the one to send; it is known by its method `getStatus`. */
function isHttpClientError(error: object): boolean {
  return (
    HTTP_CLIENT_PROPERTIES.some((mark) => hasOwn(error, mark)) &&
    typeof peek(error, "getStatus") !== "function"
  );
}

/** Whether the error itself allows its message to be shown; never for a server error. */
export function exposesMessage(error: unknown, status: number): boolean {
  return status < 500 && peek(error, "expose") === true;
}

/** Headers taken from an error of any status: they tell the client what to do next. */
const ERROR_HEADERS = ["WWW-Authenticate", "Retry-After", "Allow"] as const;

/** Headers that the standard defines for one status only (RFC 9110, sections 15.5 and 15.6). */
const HEADERS_BY_STATUS: Readonly<Record<number, readonly string[]>> = {
  407: ["Proxy-Authenticate"],
  415: ["Accept", "Accept-Encoding", "Accept-Patch", "Accept-Post"],
  416: ["Content-Range"],
  426: ["Upgrade"],
};

/** The headers that an error has (`http-errors` sets them) and that may be sent. */
export function headersOfError(error: unknown, status: number): [string, string | string[]][] {
  if (typeof error !== "object" || error === null || isHttpClientError(error)) return [];
  const headers = peek(error, "headers");
  if (typeof headers !== "object" || headers === null) return [];
  return [...ERROR_HEADERS, ...(HEADERS_BY_STATUS[status] ?? [])].flatMap(
    (name): [string, string | string[]][] => {
      const value = validHeaderValue(peek(headers, name) ?? peek(headers, name.toLowerCase()));
      return value === undefined ? [] : [[name, value]];
    },
  );
}

function validHeaderValue(value: unknown): string | string[] | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : undefined;
  if (typeof value === "string") return value !== "" && isHeaderValue(value) ? value : undefined;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value.every((one) => typeof one === "string" && isHeaderValue(one))
    ? [...(value as string[])]
    : undefined;
}

/** Members that an error cannot set. */
const RESERVED_MEMBERS = new Set(["status", "instance", "requestId"]);
const TEXT_MEMBERS = new Set(["type", "title", "detail"]);

/**
 * The members of an error's own `problem` object, for the problem details. `type`, `title` and `detail` replace ours,
 * all others are extension members (RFC 9457, section 3.2). If the object cannot be written as JSON, all are left out.
 */
export function membersOfError(error: unknown): Record<string, unknown> | undefined {
  if (typeof error !== "object" || error === null || isHttpClientError(error)) return undefined;
  if (!hasOwn(error, "problem")) return undefined;
  const given = jsonCopy(peek(error, "problem"));
  if (!isBag(given)) return undefined;
  return Object.fromEntries(
    Object.entries(given).filter(
      ([name, value]) =>
        !RESERVED_MEMBERS.has(name) && (!TEXT_MEMBERS.has(name) || typeof value === "string"),
    ),
  );
}

/** A copy made by JSON, so that no getter and no `toJSON` runs again when it is sent. */
function jsonCopy(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value));
  } catch {
    return undefined;
  }
}
