import type { ServerResponse } from "node:http";
import type { NextFunction, Request, Response } from "express";
import { hasBody } from "../lib/request/transport.js";
import { beforeHead } from "../lib/response/intercept.js";
import { addCacheStatus, type CacheStatusParts, cacheStatus } from "./cache-status.js";
import { hostName, type TargetForm } from "./key.js";
import { type CacheState, count } from "./state.js";
import type { ResourceKey } from "./stores/cache-store.js";

/** Whether the method may change something; one that is not known counts as unsafe (RFC 9111 section 4). */
export function isUnsafe(method: string): boolean {
  return method !== "GET" && method !== "HEAD" && !SAFE_NOT_STORED.has(method);
}

/** Safe methods with answers that are never stored (RFC 9110 section 9.2.1). */
const SAFE_NOT_STORED = new Set(["OPTIONS", "TRACE"]);

/** Why a request bypasses the cache; undefined if it does not. */
export function bypassReason(
  { plan }: CacheState,
  req: Request,
  form: TargetForm,
  key: ResourceKey | undefined,
): CacheStatusParts | undefined {
  const { method, headers } = req;
  const isGetOrHead = method === "GET" || method === "HEAD";
  if (form === "other" && isGetOrHead) return { fwd: "bypass", detail: "target" };
  if (!isGetOrHead || wireMethodOf(req) !== method) return { fwd: "method" };
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

/**
 * Whether `Connection` names other fields of the request. A proxy among the handlers removes those fields before the
 * next server sees the request, but the key and Vary would still use them.
 */
function namesOtherFields(connection: string | undefined): boolean {
  if (connection === undefined || connection === "keep-alive" || connection === "close") return false;
  return connection.split(",").some((option) => !USUAL_OPTION.test(option));
}

const USUAL_OPTION = /^[ \t]*(?:close|keep-alive|upgrade|http2-settings|te|)[ \t]*$/i;

/** Passes the request on unchanged, and says why in Cache-Status. */
export function bypass(
  state: CacheState,
  req: Request,
  res: Response,
  next: NextFunction,
  parts: CacheStatusParts,
): void {
  count(state, req, "bypass");
  state.forwarded.add(req);
  beforeHead(res, addCacheStatus, cacheStatus(state.plan.name, parts));
  next();
}

/**
 * Purges what an unsafe method has changed (RFC 9111 section 4.4): when it succeeds, its own resource and those that
 * its answer names, on the same host only.
 */
export function invalidateAfter(state: CacheState, res: ServerResponse, key: ResourceKey): void {
  beforeHead(res, invalidate, { state, key });
}

interface Change {
  readonly state: CacheState;
  readonly key: ResourceKey;
}

function invalidate(res: ServerResponse, { state, key }: Change): void {
  if (res.statusCode < 200 || res.statusCode >= 400) return;
  const targets = new Set([key.target]);
  for (const name of ["location", "content-location"]) {
    const named = res.getHeader(name);
    const target = typeof named === "string" ? targetOnHost(named, key) : undefined;
    if (target !== undefined) targets.add(target);
  }
  for (const target of targets) state.purge(key.host, target);
}

function targetOnHost(reference: string, { host, target }: ResourceKey): string | undefined {
  try {
    const base = new URL(`http://${host}${target.startsWith("/") ? target : "/"}`);
    const url = new URL(reference, base);
    return url.host === base.host ? `${url.pathname}${url.search}` : undefined;
  } catch {
    return undefined;
  }
}
