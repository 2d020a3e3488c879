import type { Response } from "express";
import { addVary } from "../lib/http/vary.js";
import { isHttp2 } from "../lib/request/transport.js";
import type { Outer } from "../lib/response/interceptor.js";
import { addCacheStatus, type CacheStatusParts, cacheStatus } from "./cache-status.js";
import { ifRangeHolds, notModified, rangeOf } from "./rules/conditional.js";
import { fieldOf } from "./rules/fields.js";
import { ageMs, freshForMs, type Policy, policyOf } from "./rules/freshness.js";
import type { Exchange } from "./state.js";
import type { Entry } from "./stores/cache-store.js";

/** What is still to be sent once the headers of a stored answer are set. */
export interface Prepared {
  readonly status: number;
  readonly reason: string;
  /** Undefined: no body is sent. */
  readonly body: Buffer | undefined;
}

/** Sends a stored answer. `parts`: what Cache-Status says, if this is not a plain hit. */
export function serve(exchange: Exchange, entry: Entry, now: number, parts?: CacheStatusParts): void {
  const { req, res } = exchange;
  const { status, reason, body } = prepare(exchange, entry, now, parts);
  res.statusCode = status;
  if (reason !== "" && !isHttp2(req)) res.statusMessage = reason;
  if (body === undefined || req.method === "HEAD") res.end();
  else res.end(body);
}

export function prepare(exchange: Exchange, entry: Entry, now: number, parts?: CacheStatusParts): Prepared {
  const { res, req, state } = exchange;
  const ready = readyEntry(entry);
  const left = freshForMs(ready.policy, now);
  exchange.count(left > 0 || parts?.stored === true ? "hit" : "stale");
  const ttlSeconds = Math.floor(left / 1000);
  const member =
    parts === undefined
      ? `${state.hitStatus}; ttl=${ttlSeconds}`
      : cacheStatus(state.plan.name, { ...parts, ttlSeconds });
  addCacheStatus(res, member);
  const conditions = exchange.conditions ?? req.headers;

  if (entry.status === 200 && notModified(conditions, entry.headers)) {
    setHeaders(res, ready, bodilessOf(ready), now);
    return { status: 304, reason: "", body: undefined };
  }
  const range =
    entry.status === 200 &&
    req.method === "GET" &&
    conditions.range !== undefined &&
    ifRangeHolds(conditions, entry.headers)
      ? rangeOf(conditions.range, entry.body.length)
      : undefined;
  if (range === "unsatisfiable") {
    setHeaders(res, ready, bodilessOf(ready), now);
    res.setHeader("Content-Range", `bytes */${entry.body.length}`);
    return { status: 416, reason: "", body: Buffer.alloc(0) };
  }
  setHeaders(res, ready, ready.pairs, now);
  if (range !== undefined) {
    const { start, end } = range;
    res.setHeader("Content-Range", `bytes ${start}-${end}/${entry.body.length}`);
    return withLength(res, { status: 206, reason: "", body: entry.body.subarray(start, end + 1) });
  }
  const { status, reason } = entry;
  if (status === 204) return { status, reason, body: undefined };
  return withLength(res, { status, reason, body: entry.body });
}

/** Makes a 304 of the response whose headers are set. */
export function prepareNotModified(res: Response): Prepared {
  for (const name of res.getHeaderNames()) {
    if (OF_BODY.test(name)) res.removeHeader(name);
  }
  return { status: 304, reason: "", body: undefined };
}

/** Sends it in place of the handlers' answer, from within an interceptor. */
export function sendPrepared({ req, res }: Exchange, outer: Outer, { status, reason, body }: Prepared): void {
  if (!isHttp2(req)) res.statusMessage = reason;
  res.statusCode = status;
  outer.writeHead(status);
  if (body !== undefined) outer.write(body);
}

function withLength(res: Response, prepared: Prepared & { body: Buffer }): Prepared {
  res.setHeader("Content-Length", prepared.body.length);
  return prepared;
}

function setHeaders(
  res: Response,
  { policy, vary }: ReadyEntry,
  pairs: ReadyEntry["pairs"],
  now: number,
): void {
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i]!;
    // An empty list is stored where the handlers have removed a header of outer middleware.
    if (typeof pair[1] === "object" && pair[1].length === 0) res.removeHeader(pair[0]);
    else res.setHeader(pair[0], pair[1]);
  }
  res.setHeader("Age", Math.floor(ageMs(policy, now) / 1000));
  if (vary !== undefined) addVary(res, vary);
}

type Pair = readonly [name: string, value: string | number | readonly string[]];

/** What is computed once for a stored answer, to send it fast. */
export interface ReadyEntry {
  readonly policy: Policy;
  /** The headers that are sent as they were stored. */
  readonly pairs: readonly Pair[];
  /** The same without those that describe a body; made when first needed. */
  bodiless: readonly Pair[] | undefined;
  readonly vary: string | undefined;
}

/** Keyed by the entry: the memory store returns the same object for each hit. */
const readyEntries = new WeakMap<Entry, ReadyEntry>();

export function readyEntry(entry: Entry): ReadyEntry {
  let ready = readyEntries.get(entry);
  if (ready === undefined) {
    const pairs = entry.headers.filter(([name]) => !SET_PER_ANSWER.has(name.toLowerCase()));
    ready = { policy: policyOf(entry), pairs, bodiless: undefined, vary: fieldOf(entry.headers, "vary") };
    readyEntries.set(entry, ready);
  }
  return ready;
}

/** The headers of a 304 (RFC 9110 section 15.4.5). */
export function bodilessOf(ready: ReadyEntry): readonly Pair[] {
  ready.bodiless ??= ready.pairs.filter(([name]) => !OF_BODY.test(name));
  return ready.bodiless;
}

/** Headers that describe a body. They are not sent with a 304. */
const OF_BODY = /^(?:content-(?!location$|security)|trailer$)/i;

/** Each answer gets its own value of these. */
const SET_PER_ANSWER = new Set(["age", "cache-status", "content-length", "vary"]);
