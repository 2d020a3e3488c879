import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { NextFunction, Request, Response } from "express";
import { knownState } from "../lib/request/state.js";
import { beforeHead } from "../lib/response/head-hooks.js";
import { type CacheStatusParts, cacheStatus } from "./rules/cache-status.js";
import { type Wish, wishOf } from "./rules/request-directives.js";
import { variantOf } from "./rules/vary.js";
import type { CacheState } from "./state.js";
import type { ResourceKey } from "./store.js";

/** Why the request was forwarded to the handlers. */
export type Forwarding = NonNullable<CacheStatusParts["fwd"]>;
type Outcome = "hit" | "miss" | "stale" | "bypass";
const COUNTED = { hit: "hits", miss: "misses", stale: "stale", bypass: "bypasses" } as const;

/** One request and its response on their way through one cache. */
export class Visit {
  readonly wish: Wish | undefined;
  /** The client's own conditions, while they are removed from the request's headers. */
  conditions: IncomingHttpHeaders | undefined = undefined;
  /** Has waited for another request's answer, and does not wait again. */
  waited = false;
  /** When all its waiting ends at the latest (by `performance.now()`). */
  waitUntil: number | undefined = undefined;
  /** Another request has fetched the answer meanwhile. */
  collapsed = false;

  constructor(
    readonly state: CacheState,
    readonly req: Request,
    readonly res: Response,
    readonly next: NextFunction,
    readonly key: ResourceKey,
    /** Whether its answer may be stored; if not, it can still be served what is stored. */
    readonly mayFill: boolean,
  ) {
    this.wish = state.plan.requestDirectives ? wishOf(req.headers) : undefined;
  }

  /** The variant that this request gets under a list of Vary fields. */
  readonly variantOf = (fields: string): string => variantOf(this.req.headers, fields);

  /** Whether the client is authenticated: by Authorization, or by middleware that has set a user. */
  get isPersonal(): boolean {
    return isPersonal(this.req);
  }

  /** Equal for requests that want the same answer while it is fetched. */
  placeOf(fields: string): string {
    return `${this.resource}\n${this.variantOf(fields)}`;
  }

  get resource(): string {
    return `${this.key.host} ${this.key.target}\n${this.key.division}`;
  }

  /** The client has left, or other code has sent an answer. */
  get isOver(): boolean {
    return this.res.headersSent || this.res.destroyed;
  }

  count(outcome: Outcome): void {
    note(this.state, this.req, outcome);
  }
}

export function note(cache: CacheState, req: Request, outcome: Outcome): void {
  const state = knownState(req); // exists if there is an outer requestContext or requestLog
  if (state?.internal) return;
  cache[COUNTED[outcome]]++;
  if (state !== undefined) state.cache = outcome;
}

function isPersonal(req: Request): boolean {
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
export function pass(
  state: CacheState,
  req: Request,
  res: Response,
  next: NextFunction,
  parts: CacheStatusParts,
): void {
  note(state, req, "bypass");
  state.passed.add(req);
  beforeHead(res, addStatus, cacheStatus(state.plan.name, parts));
  next();
}

/** Appends: caches nearer to the origin come first (RFC 9211 section 2). */
export function addStatus(res: ServerResponse, member: string): void {
  const present = res.getHeader("cache-status");
  res.setHeader("Cache-Status", present === undefined ? member : `${String(present)}, ${member}`);
}
