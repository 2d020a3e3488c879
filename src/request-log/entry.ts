import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { routeOf } from "../lib/express/route-template.js";
import { isPreflight } from "../lib/http/method.js";
import { type Redaction, redactHeader, redactQuery, redactUrl, type SecretNames } from "../lib/log/redact.js";
import { contextOf } from "../lib/request/context.js";
import type { Refusal, RequestState } from "../lib/request/state.js";
import { sentBytes } from "../lib/response/intercept.js";
import { faultOf, finalStatus, type Outcome } from "../lib/response/outcome.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import type { Arrival } from "./arrival.js";
import { shorten } from "./escape.js";
import { type Level, levelFor } from "./level.js";

/** One request, as it is logged. Units are in the names; a field that is unknown or does not apply is undefined. */
export interface RequestLogEntry {
  /** When the entry was made: at the end of the response, or of an immediate one on arrival. ISO 8601, UTC, milliseconds. */
  readonly time: string;
  readonly level: Level;
  /** Set if `requestContext` runs before the log. */
  readonly requestId: string | undefined;
  /** W3C trace id; set if `requestContext` runs before the log. */
  readonly traceId: string | undefined;
  readonly method: string;
  /** The path as the client sent it: percent-encoded, and not changed by routers. */
  readonly path: string;
  /** Without the question mark; secrets are replaced. */
  readonly query: string | undefined;
  /** The route's template (`/item/:id`), never the path of one request; undefined if no route matched. */
  readonly route: string | undefined;
  /**
   * The response's status. 499 if the client left before a head was sent, 444 if the server dropped the connection
   * without a response (500 if it did so because of an error). 0 in an immediate entry.
   */
  readonly status: number;
  /** From `requestLog` to the end of the response. 0 in an immediate entry. */
  readonly durationMs: number;
  /** From `requestLog` to the head of the response; undefined if none was sent. */
  readonly headersMs: number | undefined;
  /** Bytes of the body as sent, after compression; 0 for HEAD, 204 and 304; undefined if no head was sent. */
  readonly responseBytes: number | undefined;
  /** The client's address, by the app's `trust proxy`; `-` if there is none (a Unix socket). */
  readonly remoteAddress: string;
  readonly httpVersion: string;
  readonly userAgent: string | undefined;
  /** Secrets in its query are replaced. */
  readonly referrer: string | undefined;
  /** The principal's `name`, else `sub`, else `id`; only if authentication passed. */
  readonly user: string | number | undefined;
  /** The client left before the response was complete. */
  readonly aborted: true | undefined;
  readonly timedOut: true | undefined;
  /** Result of the cache: hit, miss, stale, bypass. */
  readonly cache: string | undefined;
  /** Which middleware refused the request, and why. */
  readonly refused: Refusal | undefined;
  /** The error of the request. `stack` is set only for a server error that `recover` leaves to this log, because both
   * have the same logger. */
  readonly error:
    | { readonly type: string; readonly message: string; readonly stack?: string | undefined }
    | undefined;
  /** Request headers named by the option `headers`; the names are in lower case. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  /** The entry was made when the request arrived, so it has nothing about the response. */
  readonly immediate: true | undefined;
}

export interface EntryRules extends Redaction {
  /** False if no output has them: looking up a route and making a trace cost more than the other fields. */
  readonly hasRouteAndTrace: boolean;
}

export function entryAtEnd(
  rules: EntryRules,
  arrival: Arrival,
  res: ServerResponse,
  outcome: Outcome,
): RequestLogEntry {
  const { req, state } = arrival;
  const fault = outcome === "truncated" && !state.failed ? faultOf(res, arrival.socket) : undefined;
  const failed = state.failed || fault !== undefined;
  const aborted = outcome === "aborted";
  const status = finalStatus(res, outcome, failed);
  const preflight = isPreflight(arrival.method, req.headers);
  const entry = newEntry(rules, arrival) as MutableEntry;
  entry.level = levelFor({ status, aborted, failed, preflight });
  if (rules.hasRouteAndTrace) addRouteAndTrace(entry, arrival);
  entry.status = status;
  entry.durationMs = roundMs(performance.now() - arrival.startedMs);
  if (res.headersSent) {
    if (arrival.headMs >= 0) entry.headersMs = roundMs(arrival.headMs);
    entry.responseBytes = sentBytes(res);
  }
  entry.user = userOf(state);
  if (aborted) entry.aborted = true;
  if (state.timedOut) entry.timedOut = true;
  entry.cache = state.cache;
  entry.refused = state.refused;
  if (failed) {
    const { type, message } = describeThrown(state.failed ? state.error : fault);
    entry.error = { type, message: shorten(message) };
  }
  return entry;
}

export function entryAtStart(rules: EntryRules, arrival: Arrival): RequestLogEntry {
  const { req } = arrival;
  const entry = newEntry(rules, arrival) as MutableEntry;
  if (isPreflight(arrival.method, req.headers)) entry.level = "debug";
  entry.immediate = true;
  if (rules.hasRouteAndTrace) addRouteAndTrace(entry, arrival);
  return entry;
}

/** An immediate entry gets no route: none is known yet. */
export function addRouteAndTrace(
  entry: { route: string | undefined; traceId: string | undefined; immediate: true | undefined },
  { req, state, app }: Arrival,
): void {
  entry.traceId = state.entered ? contextOf(req).trace.traceId : state.trace?.traceId;
  if (!entry.immediate) entry.route = state.route ?? routeOf(req, app);
}

/** The path and query as they may be logged. */
export function loggedTarget({ path, query }: RequestLogEntry): string {
  return query === undefined ? path : shorten(`${path}?${query}`);
}

type MutableEntry = { -readonly [K in keyof RequestLogEntry]: RequestLogEntry[K] };

/** Sets all fields in one order, so that V8 has one shape for all entries. */
function newEntry(
  { secrets, headers, redactPath }: Redaction,
  { req, state, path, query, method, remoteAddress }: Arrival,
): RequestLogEntry {
  const requestHeaders = req.headers;
  return {
    time: isoTime(Date.now()),
    level: "info",
    requestId: state.id,
    traceId: undefined,
    method: shorten(method), // over HTTP/2 its length is not limited
    path: shorten(redactPath === undefined ? path : redactPath(path, req)),
    query: query === undefined ? undefined : shorten(redactQuery(query, secrets)),
    route: undefined,
    status: 0,
    durationMs: 0,
    headersMs: undefined,
    responseBytes: undefined,
    remoteAddress,
    httpVersion: req.httpVersion,
    userAgent: shortenOptional(requestHeaders["user-agent"]),
    referrer: referrerOf(requestHeaders, secrets, redactPath, req),
    user: undefined,
    aborted: undefined,
    timedOut: undefined,
    cache: undefined,
    refused: undefined,
    error: undefined,
    headers: headers.length === 0 ? undefined : pickHeaders(requestHeaders, headers, secrets),
    immediate: undefined,
  };
}

function shortenOptional(value: string | undefined): string | undefined {
  return value === undefined ? undefined : shorten(value);
}

function referrerOf(
  requestHeaders: IncomingHttpHeaders,
  secrets: SecretNames,
  redactPath: Redaction["redactPath"],
  req: IncomingMessage,
): string | undefined {
  const referrer = requestHeaders.referer ?? requestHeaders.referrer;
  if (typeof referrer !== "string") return undefined;
  return shorten(
    redactUrl(referrer, secrets, redactPath === undefined ? undefined : (path) => redactPath(path, req)),
  );
}

function pickHeaders(
  requestHeaders: IncomingHttpHeaders,
  names: readonly string[],
  secrets: SecretNames,
): Record<string, string> | undefined {
  let picked: Record<string, string> | undefined;
  for (const name of names) {
    const value = requestHeaders[name];
    if (value === undefined) continue;
    picked ??= {};
    picked[name] = shorten(redactHeader(name, Array.isArray(value) ? value.join(", ") : value, secrets));
  }
  return picked;
}

const NAMES = ["name", "sub", "id"] as const;

function userOf({ auth }: RequestState): string | number | undefined {
  if (auth === undefined) return undefined;
  for (const name of NAMES) {
    const value = peek(auth.principal, name);
    if (typeof value === "string" && value !== "") return shorten(value);
    if (typeof value === "number") return value;
  }
  return undefined;
}

/** A record in the form of ecs or otel, or a part of one. */
export type Fields = Readonly<Record<string, unknown>>;

/** The message of an ecs or otel record. It also says what the schema has no field for. */
export function messageOf(entry: RequestLogEntry): string {
  let text = `${entry.method} ${entry.path}`;
  if (entry.immediate) return text;
  text += ` ${entry.status}`;
  if (entry.aborted) text += " aborted";
  if (entry.timedOut) text += " timed out";
  return text;
}

let second = -1;
let prefix = "";

/** Same as `new Date(now).toISOString()`, but caches the first 20 characters, which are the same for every time within one second. */
function isoTime(now: number): string {
  const whole = Math.floor(now / 1_000);
  if (whole !== second) {
    second = whole;
    prefix = new Date(whole * 1_000).toISOString().slice(0, 20);
  }
  const ms = now - whole * 1_000;
  return `${prefix}${ms < 10 ? "00" : ms < 100 ? "0" : ""}${ms}Z`;
}

/** Rounds to the microsecond; finer digits are noise. */
function roundMs(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
