import type { IncomingHttpHeaders } from "node:http";
import type { HeaderList } from "../../lib/response/snapshot.js";
import { varyFieldsOf } from "../key.js";
import type { Directives } from "./directives.js";
import { fieldOf, linesOf } from "./fields.js";
import { dateOf, isShared, lifetimeOf, requestDirectivesOf } from "./freshness.js";
import { hasTooManyTags, namedFields } from "./stored-headers.js";
import { directivesOf } from "./targeted.js";

export interface StorableRequest {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

export interface StorableResponse {
  readonly status: number;
  /** All headers, including those of outer middleware: they apply to this response, too. */
  readonly headers: HeaderList;
}

export interface StorableOptions {
  /** Whether requests with cookies and responses that set cookies may be stored. */
  readonly cookies: boolean;
  /** Whether a client's `no-store` counts. Default: true. */
  readonly requestDirectives?: boolean;
}

/** A reason not to store, for the detail of Cache-Status. */
export type NotStored =
  | "method"
  | "status"
  | "partial"
  | "request-no-store"
  | "no-store"
  | "private"
  | "authorization"
  | "cookie"
  | "set-cookie"
  | "vary"
  | "stream"
  | "nonce"
  | "tags"
  | "no-freshness";

/** Why a shared cache must not store this response (RFC 9111 section 3); undefined if it may. */
export function whyNotStored(
  request: StorableRequest,
  response: StorableResponse,
  options: StorableOptions,
): NotStored | undefined {
  const { headers } = response;
  const { directives, targeted } = directivesOf(headers);
  return (
    byRequest(request, options, directives) ??
    byStatus(request, response, directives) ??
    byDirectives(directives) ??
    byHeaders(headers, options, directives) ??
    (hasFreshness(response, directives, targeted) ? undefined : "no-freshness")
  );
}

function byRequest(
  { method, headers }: StorableRequest,
  { cookies, requestDirectives = true }: StorableOptions,
  directives: Directives,
): NotStored | undefined {
  if (method !== "GET") return "method";
  if (requestDirectives && requestDirectivesOf(headers).noStore) return "request-no-store";
  if (headers.authorization !== undefined && !isShared(directives)) return "authorization";
  return headers.cookie !== undefined && !cookies ? "cookie" : undefined;
}

function byStatus(
  request: StorableRequest,
  { status, headers }: StorableResponse,
  directives: Directives,
): NotStored | undefined {
  // Content-Range has no meaning without a 206, but a handler may send it with a part nevertheless.
  const isPart = request.headers.range !== undefined && fieldOf(headers, "content-range") !== undefined;
  if (status === 206 || isPart) return "partial";
  if (status < 200 || status > 999 || NEVER_STORED_STATUSES.has(status)) return "status";
  return directives.has("must-understand") && !UNDERSTOOD_STATUSES.has(status) ? "status" : undefined;
}

function byDirectives(directives: Directives): NotStored | undefined {
  // With must-understand, no-store is only for caches that do not know that directive (section 5.2.2.3).
  if (directives.has("no-store") && !directives.isBare("must-understand")) return "no-store";
  return directives.has("private") && directives.fields("private") === undefined ? "private" : undefined;
}

function byHeaders(
  headers: HeaderList,
  options: StorableOptions,
  directives: Directives,
): NotStored | undefined {
  if (!options.cookies && setsCookie(headers, directives)) return "set-cookie";
  if (varyFieldsOf(headers) === "*") return "vary";
  const type = fieldOf(headers, "content-type") ?? "";
  if (STREAM.test(type)) return "stream";
  if (hasNonce(headers) && (type === "" || DOCUMENT.test(type))) return "nonce";
  return hasTooManyTags(headers) ? "tags" : undefined;
}

/** A response with `no-cache="set-cookie"` allows storing it without its cookies. */
function setsCookie(headers: HeaderList, directives: Directives): boolean {
  return linesOf(headers, "set-cookie").length > 0 && !namedFields(directives).includes("set-cookie");
}

/** Types of responses that end only when one side closes the connection. */
const STREAM = /^\s*(?:text\/event-stream|multipart\/x-mixed-replace)\s*(?:;|$)/i;

/** Types of documents that run scripts under the response's policy. JSON and images do not. */
const DOCUMENT = /html|xml|svg/i;

/** A nonce is valid for one response only, and the stored body contains it. */
function hasNonce(headers: HeaderList): boolean {
  const policies = [
    ...linesOf(headers, "content-security-policy"),
    ...linesOf(headers, "content-security-policy-report-only"),
  ];
  return policies.some((policy) => /'nonce-/i.test(policy));
}

/**
 * Whether the response names a lifetime, or can be used without one. Lifetimes are not guessed, though RFC 9111 section
 * 4.2.2 allows it: an app that says nothing about caching was perhaps not written for it. A response that is never fresh
 * can be used only with a validator, or while it may be used stale.
 */
function hasFreshness(
  { status, headers }: StorableResponse,
  directives: Directives,
  targeted: boolean,
): boolean {
  const expires = targeted ? undefined : fieldOf(headers, "expires");
  const isExplicit =
    directives.has("max-age") ||
    directives.has("s-maxage") ||
    directives.has("public") ||
    expires !== undefined ||
    (directives.has("no-cache") && HEURISTIC_STATUSES.has(status));
  if (!isExplicit) return false;
  if (fieldOf(headers, "etag") !== undefined || fieldOf(headers, "last-modified") !== undefined) return true;
  if (directives.has("no-cache") && directives.fields("no-cache") === undefined) return false;
  if ((directives.seconds("stale-while-revalidate") ?? 0) > 0) return true;
  if ((directives.seconds("stale-if-error") ?? 0) > 0) return true;
  // Without a Date, any valid Expires counts here: it is compared when the policy is made.
  const date = dateOf(headers, 0) ?? 0;
  return lifetimeOf(directives, expires, date, date) > 0;
}

/** May be stored without an explicit lifetime, and are then validated at each use (RFC 9110 section 15.1). */
export const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
]);

/** The only statuses that `must-understand` allows to be stored (RFC 9111 section 5.2.2.3). */
export const UNDERSTOOD_STATUSES: ReadonlySet<number> = new Set([
  ...HEURISTIC_STATUSES,
  ...[201, 202, 205, 302, 303, 305, 307],
  ...[400, 401, 402, 403, 406, 407, 408, 409, 411, 413, 415, 417, 421, 422, 426, 451],
  ...[500, 502, 503, 504, 505],
]);

/**
 * Never stored, whatever their lifetime: 206, 304, 412 and 416 answer the request's own range or condition, and the
 * other statuses forbid it (RFC 6585 sections 3 to 6).
 */
export const NEVER_STORED_STATUSES: ReadonlySet<number> = new Set([206, 304, 412, 416, 428, 429, 431, 511]);
