import type { NextFunction, Request, Response } from "express";
import { adopt } from "../lib/request/transport.js";
import { peek } from "../lib/values/thrown.js";
import { fill } from "./fill.js";
import { invalidateAfter } from "./invalidate.js";
import { formOf, hostName, keyOf } from "./key.js";
import { look } from "./look.js";
import { refreshOf } from "./refresh.js";
import type { CacheStatusParts } from "./rules/cache-status.js";
import type { CacheState } from "./state.js";
import type { ResourceKey } from "./store.js";
import { pass, Visit } from "./visit.js";

/** The middleware itself: looks the request up, or passes it on if it bypasses the cache. */
export function enter(state: CacheState, req: Request, res: Response, next: NextFunction): void {
  adopt(req, res);
  if (res.headersSent || peek(req, "upgrade") === true || state.passed.has(req)) {
    next();
    return;
  }
  const form = formOf(req);
  const isKeyed = !NEITHER.has(req.method) && (form !== "other" || isUnsafe(req.method));
  const key = isKeyed ? keyOf(req, state.plan.key) : undefined;
  const around = form === "other" && !isUnsafe(req.method) ? OTHER_TARGET : wayAround(state, req, key);
  if (around !== undefined || key === undefined) {
    if (key !== undefined && isUnsafe(req.method)) invalidateAfter(state, res, key);
    pass(state, req, res, next, around ?? { fwd: "bypass", detail: "key" });
    return;
  }
  const visit = new Visit(state, req, res, next, key, form === "origin");
  const refreshed = refreshOf(req, state);
  if (refreshed === undefined) look(visit);
  else fill(visit, refreshed, "stale", undefined);
}

const OTHER_TARGET: CacheStatusParts = { fwd: "bypass", detail: "target" };

/** Safe methods with answers that are never stored (RFC 9110 section 9.2.1). */
const NEITHER = new Set(["OPTIONS", "TRACE"]);

/** A method that is not known to be safe counts as unsafe (RFC 9111 section 4). */
function isUnsafe(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}

/** Why a request bypasses the cache; undefined if it does not. */
function wayAround(
  { plan }: CacheState,
  req: Request,
  key: ResourceKey | undefined,
): CacheStatusParts | undefined {
  const { method, headers } = req;
  if (isUnsafe(method) || wireMethodOf(req) !== method) return { fwd: "method" };
  if (key === undefined) return { fwd: "bypass", detail: "key" };
  if (plan.hosts !== undefined && !plan.hosts.has(hostName(key.host)))
    return { fwd: "bypass", detail: "host" };
  if (headers.cookie !== undefined && !plan.cookies) return { fwd: "bypass", detail: "cookie" };
  if (hasBody(req)) return { fwd: "bypass", detail: "body" }; // the answer may depend on it
  if (namesFields(headers.connection)) return { fwd: "bypass", detail: "connection" };
  if (headers["if-match"] !== undefined || headers["if-unmodified-since"] !== undefined) {
    return { fwd: "bypass", detail: "precondition" };
  }
  return undefined;
}

/** The method that the client sent: method-override replaces `req.method`. */
function wireMethodOf({ method, originalMethod }: Request & { readonly originalMethod?: unknown }): unknown {
  return originalMethod ?? method;
}

function hasBody(req: Request & { readonly stream?: { readonly endAfterHeaders?: boolean } }): boolean {
  const { headers } = req;
  if (headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0) return true;
  return req.httpVersionMajor >= 2 && req.stream?.endAfterHeaders === false;
}

/**
 * Whether `Connection` names other fields of the request. A proxy among the handlers removes those fields before the
 * next server sees the request, but the key and Vary would still use them.
 */
function namesFields(connection: string | undefined): boolean {
  if (connection === undefined || connection === "keep-alive" || connection === "close") return false;
  return connection.split(",").some((option) => !OPTIONS.test(option));
}

const OPTIONS = /^[ \t]*(?:close|keep-alive|upgrade|http2-settings|te|)[ \t]*$/i;
