import type { NextFunction, Request, Response } from "express";
import { adopt } from "../lib/request/transport.js";
import { peek } from "../lib/values/thrown.js";
import { fetchAnswer } from "./fill.js";
import { invalidateAfter } from "./invalidate.js";
import { formOf, hostName, keyOf } from "./key.js";
import { lookUp } from "./look.js";
import { refreshOf } from "./refresh.js";
import type { CacheStatusParts } from "./rules/cache-status.js";
import type { CacheState } from "./state.js";
import type { ResourceKey } from "./store.js";
import { bypass, Exchange } from "./visit.js";

/** The middleware itself: looks the request up, or passes it on if it bypasses the cache. */
export function handle(state: CacheState, req: Request, res: Response, next: NextFunction): void {
  adopt(req, res);
  if (res.headersSent || peek(req, "upgrade") === true || state.passed.has(req)) {
    next();
    return;
  }
  const form = formOf(req);
  const isKeyed = !SAFE_NOT_STORED.has(req.method) && (form !== "other" || isUnsafe(req.method));
  const key = isKeyed ? keyOf(req, state.plan.key) : undefined;
  const reason = form === "other" && !isUnsafe(req.method) ? OTHER_TARGET : bypassReason(state, req, key);
  if (reason !== undefined || key === undefined) {
    if (key !== undefined && isUnsafe(req.method)) invalidateAfter(state, res, key);
    bypass(state, req, res, next, reason ?? { fwd: "bypass", detail: "key" });
    return;
  }
  const exchange = new Exchange(state, req, res, next, key, form === "origin");
  const refreshed = refreshOf(req, state);
  if (refreshed === undefined) lookUp(exchange);
  else fetchAnswer(exchange, refreshed, "stale", undefined);
}

const OTHER_TARGET: CacheStatusParts = { fwd: "bypass", detail: "target" };

/** Safe methods with answers that are never stored (RFC 9110 section 9.2.1). */
const SAFE_NOT_STORED = new Set(["OPTIONS", "TRACE"]);

/** A method that is not known to be safe counts as unsafe (RFC 9111 section 4). */
function isUnsafe(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}

/** Why a request bypasses the cache; undefined if it does not. */
function bypassReason(
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
  if (namesOtherFields(headers.connection)) return { fwd: "bypass", detail: "connection" };
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
function namesOtherFields(connection: string | undefined): boolean {
  if (connection === undefined || connection === "keep-alive" || connection === "close") return false;
  return connection.split(",").some((option) => !USUAL_OPTION.test(option));
}

const USUAL_OPTION = /^[ \t]*(?:close|keep-alive|upgrade|http2-settings|te|)[ \t]*$/i;
