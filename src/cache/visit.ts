import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { NextFunction, Request, Response } from "express";
import { knownState } from "../lib/request/state.js";
import { beforeHead } from "../lib/response/head-hooks.js";
import { type CacheStatusParts, cacheStatus } from "./rules/cache-status.js";
import { type RequestDirectives, requestDirectivesOf } from "./rules/request-directives.js";
import { variantOf } from "./rules/vary.js";
import type { CacheState } from "./state.js";
import type { ResourceKey } from "./store.js";

/** Why the request was forwarded to the handlers. */
export type ForwardReason = NonNullable<CacheStatusParts["fwd"]>;
type CacheResult = "hit" | "miss" | "stale" | "bypass";
const COUNTERS = { hit: "hits", miss: "misses", stale: "stale", bypass: "bypasses" } as const;

/** One request and its response on their way through one cache. */
export class Exchange {
  readonly directives: RequestDirectives | undefined;
  /** The client's own conditions, while they are removed from the request's headers. */
  conditions: IncomingHttpHeaders | undefined = undefined;
  /** Has waited for another request's answer, and does not wait again. */
  hasWaited = false;
  /** When all its waiting ends at the latest (by `performance.now()`). */
  waitUntil: number | undefined = undefined;
  /** Another request has fetched the answer meanwhile. */
  isCoalesced = false;

  constructor(
    readonly state: CacheState,
    readonly req: Request,
    readonly res: Response,
    readonly next: NextFunction,
    readonly key: ResourceKey,
    /** Whether its answer may be stored; if not, it can still be served what is stored. */
    readonly mayStore: boolean,
  ) {
    this.directives = state.plan.requestDirectives ? requestDirectivesOf(req.headers) : undefined;
  }

  /** The variant that this request gets under a list of Vary fields. */
  readonly variantOf = (fields: string): string => variantOf(this.req.headers, fields);

  /** Whether the client is authenticated: by Authorization, or by middleware that has set a user. */
  get isAuthenticated(): boolean {
    return isAuthenticated(this.req);
  }

  /** Equal for requests that want the same answer while it is fetched. */
  variantKeyOf(fields: string): string {
    return `${this.resource}\n${this.variantOf(fields)}`;
  }

  get resource(): string {
    return `${this.key.host} ${this.key.target}\n${this.key.partition}`;
  }

  /** The client has left, or other code has sent an answer. */
  get isAnswered(): boolean {
    return this.res.headersSent || this.res.destroyed;
  }

  count(result: CacheResult): void {
    count(this.state, this.req, result);
  }
}

export function count(cache: CacheState, req: Request, result: CacheResult): void {
  const state = knownState(req); // exists if there is an outer requestContext or requestLog
  if (state?.internal) return;
  cache[COUNTERS[result]]++;
  if (state !== undefined) state.cache = result;
}

function isAuthenticated(req: Request): boolean {
  const { user, auth } = req as { user?: unknown; auth?: unknown };
  return (
    req.headers.authorization !== undefined ||
    knownState(req)?.auth !== undefined ||
    isSet(user) ||
    isSet(auth)
  );
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

/** Passes the request on unchanged, and says why in Cache-Status. */
export function bypass(
  state: CacheState,
  req: Request,
  res: Response,
  next: NextFunction,
  parts: CacheStatusParts,
): void {
  count(state, req, "bypass");
  state.passed.add(req);
  beforeHead(res, addCacheStatus, cacheStatus(state.plan.name, parts));
  next();
}

/** Appends: caches nearer to the origin come first (RFC 9211 section 2). */
export function addCacheStatus(res: ServerResponse, member: string): void {
  const present = res.getHeader("cache-status");
  res.setHeader("Cache-Status", present === undefined ? member : `${String(present)}, ${member}`);
}
