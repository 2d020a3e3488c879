import type { NextFunction, Request, Response } from "express";
import { adopt } from "../lib/request/transport.js";
import { beforeHead } from "../lib/response/intercept.js";
import { send } from "../lib/response/send.js";
import { isThenable, peek } from "../lib/values/thrown.js";
import { bypass, bypassReason, invalidateAfter, isUnsafe } from "./bypass.js";
import { addCacheStatus, cacheStatus } from "./cache-status.js";
import { type FetchResult, SharedFetch, waitUntil } from "./coalesce.js";
import { fetchAnswer } from "./fetch.js";
import { formOf, keyOf } from "./key.js";
import { revalidate, revalidationOf } from "./revalidate.js";
import { acceptsEncoding, isEncoded } from "./rules/conditional.js";
import { mayServeOnError, reuse } from "./rules/freshness.js";
import { readyEntry, serve } from "./serve.js";
import { type CacheState, Exchange, type ForwardReason } from "./state.js";
import { isStillStored } from "./store.js";
import type { Entry, Lookup } from "./stores/cache-store.js";

/** The middleware itself: looks the request up, or passes it on if it bypasses the cache. */
export function handle(state: CacheState, req: Request, res: Response, next: NextFunction): void {
  adopt(req, res);
  if (res.headersSent || peek(req, "upgrade") === true || state.forwarded.has(req)) {
    next();
    return;
  }
  const form = formOf(req);
  const isUnsafeMethod = isUnsafe(req.method);
  const isKeyed = isUnsafeMethod || (form !== "other" && (req.method === "GET" || req.method === "HEAD"));
  const key = isKeyed ? keyOf(req, state.plan.key) : undefined;
  const reason = bypassReason(state, req, form, key);
  if (reason !== undefined || key === undefined) {
    if (key !== undefined && isUnsafeMethod) invalidateAfter(state, res, key);
    bypass(state, req, res, next, reason ?? { fwd: "bypass", detail: "key" });
    return;
  }
  const exchange = new Exchange(state, req, res, next, key, form === "origin");
  const revalidated = revalidationOf(req, state);
  if (revalidated === undefined) lookUp(exchange);
  else fetchAnswer(exchange, revalidated, "stale", undefined);
}

/** Looks up an answer for the request, then serves it or fetches one from the handlers. */
export function lookUp(exchange: Exchange): void {
  const found = exchange.state.store.get(exchange.key, exchange.variantOf);
  if (isThenable(found)) found.then((lookup) => handleLookup(exchange, lookup)).catch(exchange.next);
  else handleLookup(exchange, found);
}

function handleLookup(exchange: Exchange, lookup: Lookup): void {
  if (exchange.isAnswered) return;
  const { entry } = lookup;
  if (entry === undefined) fetchOrWait(exchange, lookup, lookup.known ? "vary-miss" : "uri-miss");
  else if (isForOthers(exchange, entry) || isRangeInOtherEncoding(exchange, entry)) {
    fetchOrWait(exchange, { ...lookup, entry: undefined }, "request");
  } else serveOrValidate(exchange, lookup, entry);
}

/** Whether an authenticated request must not get the answer (RFC 9111 section 3.5). */
function isForOthers(exchange: Exchange, entry: Entry): boolean {
  return exchange.isAuthenticated && !readyEntry(entry).policy.shared;
}

/**
 * Whether a range of the stored body could differ from the range that the handlers would send. They send ranges of the
 * plain body; an outer encoder never encodes ranges, but encodes whole bodies.
 */
function isRangeInOtherEncoding({ req, res }: Exchange, { headers }: Entry): boolean {
  if (req.method !== "GET" || req.headers.range === undefined) return false;
  return isEncoded(headers) || (acceptsEncoding(req.headers) && Object.hasOwn(res, "write"));
}

function serveOrValidate(exchange: Exchange, lookup: Lookup, entry: Entry): void {
  const now = Date.now();
  const verdict = reuse(readyEntry(entry).policy, exchange.directives, now);
  const mayServe =
    verdict === "fresh" ||
    (verdict === "stale-while-revalidate" && exchange.mayStore && revalidate(exchange, lookup));
  if (mayServe)
    serve(exchange, entry, now, exchange.isCoalesced ? { fwd: "uri-miss", collapsed: true } : undefined);
  else fetchOrWait(exchange, lookup, verdict === "validate" ? "request" : "stale");
}

/** Fetches from the handlers, or waits for a request that does so already. */
function fetchOrWait(exchange: Exchange, lookup: Lookup, fwd: ForwardReason): void {
  const { directives, req } = exchange;
  if (directives?.onlyIfCached) sendGatewayTimeout(exchange);
  else if (!exchange.mayStore) forwardUnstored(exchange, fwd);
  else if (req.method !== "GET" && lookup.entry !== undefined) fetchAnswer(exchange, lookup, fwd, undefined);
  else if (req.method !== "GET" || directives?.noStore) forwardUnstored(exchange, fwd);
  else if (exchange.isAuthenticated || req.headers.range !== undefined)
    fetchAnswer(exchange, lookup, fwd, undefined);
  else coalesce(exchange, lookup, fwd);
}

function coalesce(exchange: Exchange, lookup: Lookup, fwd: ForwardReason): void {
  const { state, resource } = exchange;
  const hint = state.hints.get(resource);
  const variantKey = exchange.variantKeyOf(hint?.fields ?? "");
  const shared = state.inFlight.get(variantKey);
  const isHitForMiss = hint !== undefined && hint.hitForMissUntil > Date.now();
  const isInFlight = shared !== undefined && !shared.isOverdue;
  if (isInFlight && !exchange.hasWaited) wait(exchange, shared, lookup, fwd);
  else if (isInFlight || isHitForMiss) {
    fetchAnswer(exchange, lookup, fwd, undefined);
  } else {
    fetchAnswer(exchange, lookup, fwd, new SharedFetch(state.inFlight, variantKey));
  }
}

function wait(exchange: Exchange, shared: SharedFetch, lookup: Lookup, fwd: ForwardReason): void {
  exchange.hasWaited = true;
  exchange.waitUntil ??= waitUntil();
  shared.wait(exchange.waitUntil, exchange.variantOf, (result) => {
    if (exchange.isAnswered) return;
    try {
      resume(exchange, lookup, fwd, result);
    } catch (error) {
      exchange.next(error);
    }
  });
}

function resume(exchange: Exchange, lookup: Lookup, fwd: ForwardReason, result: FetchResult): void {
  exchange.isCoalesced = result === "stored";
  // After any other result this request may wait again: for the fetch of its own variant, or for another fetch of the same
  // answer.
  exchange.hasWaited = WAIT_IS_OVER.has(result);
  if (LOOK_UP_AGAIN.has(result)) lookUp(exchange);
  else if (result !== "failed" || !serveStaleOnError(exchange, lookup.entry))
    fetchOrWait(exchange, lookup, fwd);
}

const WAIT_IS_OVER: ReadonlySet<FetchResult> = new Set(["stored", "hit-for-miss", "failed", "timed-out"]);
/** Look up again: it was stored, or another request may have stored it during a long wait. */
const LOOK_UP_AGAIN: ReadonlySet<FetchResult> = new Set(["stored", "expired", "timed-out"]);

/** The handlers just failed for another request: serves the stale answer without asking them again. */
function serveStaleOnError(exchange: Exchange, entry: Entry | undefined): boolean {
  const now = Date.now();
  if (entry === undefined || !mayServeOnError(readyEntry(entry).policy, now) || !isStillStored(exchange))
    return false;
  serve(exchange, entry, now, { fwd: "stale", collapsed: true, detail: "stale-if-error" });
  return true;
}

/** Answers `only-if-cached` when nothing is stored (RFC 9111 section 5.2.1.7). */
function sendGatewayTimeout(exchange: Exchange): void {
  const { req, res, state } = exchange;
  exchange.count("miss");
  addCacheStatus(res, cacheStatus(state.plan.name, { fwd: "bypass", detail: "only-if-cached" }));
  send(req, res, 504, undefined, "");
}

function forwardUnstored(exchange: Exchange, fwd: ForwardReason): void {
  exchange.state.forwarded.add(exchange.req);
  exchange.count("miss");
  beforeHead(exchange.res, addCacheStatus, cacheStatus(exchange.state.plan.name, { fwd }));
  exchange.next();
}
