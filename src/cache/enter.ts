import type { NextFunction, Request, Response } from "express";
import { peek } from "../http/thrown.js";
import { fill } from "./fill.js";
import { invalidateAfter } from "./invalidate.js";
import { hostName, keyOf } from "./key.js";
import { look } from "./look.js";
import { refreshOf } from "./refresh.js";
import type { CacheStatusParts } from "./rules/cache-status.js";
import type { CacheState } from "./state.js";
import type { ResourceKey } from "./store.js";
import { pass, Visit } from "./visit.js";

/** Decides whether a request is for the cache at all. */
export function enter(state: CacheState, req: Request, res: Response, next: NextFunction): void {
  if (res.headersSent || peek(req, "upgrade") === true || state.passed.has(req)) {
    next();
    return;
  }
  const key = NEITHER.has(req.method) ? undefined : keyOf(req, state.plan.key);
  const around = wayAround(state, req, key);
  if (around !== undefined || key === undefined) {
    if (key !== undefined && isUnsafe(req.method)) invalidateAfter(state, res, key);
    pass(state, req, res, next, around ?? { fwd: "bypass", detail: "key" });
    return;
  }
  const visit = new Visit(state, req, res, next, key);
  const refreshed = refreshOf(req, state);
  if (refreshed === undefined) look(visit);
  else fill(visit, refreshed, "stale", undefined);
}

/** They change nothing, and their answers are not stored (RFC 9110 section 9.2.1). */
const NEITHER = new Set(["OPTIONS", "TRACE"]);

/** What is not known to be safe is not (RFC 9111 section 4). */
function isUnsafe(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}

/** Why a request goes around the cache; undefined if it does not. */
function wayAround(
  { plan }: CacheState,
  { method, headers }: Request,
  key: ResourceKey | undefined,
): CacheStatusParts | undefined {
  if (isUnsafe(method)) return { fwd: "method" };
  if (key === undefined) return { fwd: "bypass", detail: "key" };
  if (plan.hosts !== undefined && !plan.hosts.has(hostName(key.host)))
    return { fwd: "bypass", detail: "host" };
  if (headers.cookie !== undefined && !plan.cookies) return { fwd: "bypass", detail: "cookie" };
  if (headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0) {
    return { fwd: "bypass", detail: "body" }; // the answer may depend on it
  }
  if (headers["if-match"] !== undefined || headers["if-unmodified-since"] !== undefined) {
    return { fwd: "bypass", detail: "precondition" };
  }
  return undefined;
}
