import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { NextFunction, Request, Response } from "express";
import { knownState } from "../lib/request/state.js";
import { beforeHead } from "../lib/response/hooks.js";
import { type CacheStatusParts, cacheStatus } from "./rules/cache-status.js";
import { type Wish, wishOf } from "./rules/request-directives.js";
import { variantOf } from "./rules/vary.js";
import type { CacheState } from "./state.js";
import type { ResourceKey } from "./store.js";

/** Why the handlers were asked. */
export type Forwarding = NonNullable<CacheStatusParts["fwd"]>;
type Outcome = "hit" | "miss" | "stale" | "bypass";
const COUNTED = { hit: "hits", miss: "misses", stale: "stale", bypass: "bypasses" } as const;

/** One request on its way through one cache. */
export class Visit {
  readonly wish: Wish | undefined;
  /** The client's own conditions, while the handlers are asked without them. */
  conditions: IncomingHttpHeaders | undefined = undefined;
  /** Has waited for another's answer, and does not do so again. */
  waited = false;
  /** Until when it waits at most, for however many of them (by `performance.now()`). */
  waitUntil: number | undefined = undefined;
  /** Its answer is one that another has fetched meanwhile. */
  collapsed = false;

  constructor(
    readonly state: CacheState,
    readonly req: Request,
    readonly res: Response,
    readonly next: NextFunction,
    readonly key: ResourceKey,
    /** Its answer may be stored. Else it may only be given what is. */
    readonly mayFill: boolean,
  ) {
    this.wish = state.plan.requestDirectives ? wishOf(req.headers) : undefined;
  }

  /** The variant that this request would get under a list of fields. */
  readonly variantOf = (fields: string): string => variantOf(this.req.headers, fields);

  /** Whether the request says who asks, by what HTTP knows of or what middleware has found out. */
  get isPersonal(): boolean {
    return isPersonal(this.req);
  }

  /** Where those who want the same answer meet, while it is fetched. */
  placeOf(fields: string): string {
    return `${this.resource}\n${this.variantOf(fields)}`;
  }

  get resource(): string {
    return `${this.key.host} ${this.key.target}\n${this.key.division}`;
  }

  /** The response has ended, or somebody else has given one. */
  get isOver(): boolean {
    return this.res.headersSent || this.res.destroyed;
  }

  count(outcome: Outcome): void {
    note(this.state, this.req, outcome);
  }
}

export function note(cache: CacheState, req: Request, outcome: Outcome): void {
  const state = knownState(req); // made by an outer requestContext or requestLog
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

/** Hands the request on untouched, and says so. */
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

/** The caches nearer to the origin stand first (RFC 9211 section 2). */
export function addStatus(res: ServerResponse, member: string): void {
  const present = res.getHeader("cache-status");
  res.setHeader("Cache-Status", present === undefined ? member : `${String(present)}, ${member}`);
}
