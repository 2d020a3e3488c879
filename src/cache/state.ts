import type { IncomingHttpHeaders } from "node:http";
import type { NextFunction, Request, Response } from "express";
import type { LRUCache } from "lru-cache";
import { knownState } from "../lib/request/state.js";
import { isThenable } from "../lib/values/thrown.js";
import { type CacheStatusParts, cacheStatus } from "./cache-status.js";
import type { SharedFetch } from "./coalesce.js";
import { variantOf } from "./key.js";
import { flat, loadLru, sizeOf } from "./lru.js";
import type { CachePlan } from "./options.js";
import { type Policy, type RequestDirectives, requestDirectivesOf } from "./rules/freshness.js";
import type { CacheStore, ResourceKey } from "./stores/cache-store.js";
import { guardedStore } from "./stores/guard.js";

/**
 * The most bytes that may wait in memory for clients that do not read, of all answers that are being stored. Such a client
 * must not delay an answer that others wait for, and must not fill the memory.
 */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024;

/** What is remembered about a resource outside the store. */
export interface ResourceHint {
  /** The Vary fields of its newest answer. */
  readonly fields: string;
  /** Until then its misses do not wait for one another, as the last answer could not be shared (ms since the epoch). */
  readonly hitForMissUntil: number;
}

/** The state of one cache: its plan, its store, and what is in flight. */
export class CacheState {
  readonly inFlight = new Map<string, SharedFetch>();
  readonly revalidating = new Set<string>();
  /** Pauses after failed background revalidations. */
  readonly backOff = new BackOff();
  readonly hints: LRUCache<string, ResourceHint> = new (loadLru())({
    max: 10_000,
    maxSize: 4 * 1024 * 1024,
    sizeCalculation: ({ fields }, resource) => sizeOf(resource) + sizeOf(fields) + 150,
  });
  /** Requests that this cache has passed on: a cache that is mounted twice acts once. */
  readonly forwarded = new WeakSet<object>();
  readonly store: CacheStore;
  /** The bytes that wait in memory for clients that do not read, of answers that are being stored. */
  unreadBytes = 0;
  hits = 0;
  misses = 0;
  stale = 0;
  bypasses = 0;

  /** The beginning of the Cache-Status member of every hit. */
  readonly hitStatus: string;

  constructor(readonly plan: CachePlan) {
    this.store = guardedStore(plan.store);
    this.hitStatus = cacheStatus(plan.name, { hit: true });
  }

  remember(resource: string, fields: string, hitForMissUntil: number): void {
    if (fields === "" && hitForMissUntil === 0) {
      this.hints.delete(resource); // these are the defaults
      return;
    }
    const known = this.hints.get(resource);
    if (known?.fields === fields && known.hitForMissUntil === hitForMissUntil) return;
    this.hints.set(flat(resource), { fields: flat(fields), hitForMissUntil });
  }

  /** Reserves memory for a part of an answer that waits for its client; false if there is none left. */
  reserveUnread(bytes: number): boolean {
    if (this.unreadBytes + bytes > MAX_UNREAD_BYTES) return false;
    this.unreadBytes += bytes;
    return true;
  }

  /** Purges a target on one host. */
  purge(host: string, target: string): void {
    const done = this.store.purge({ host, target });
    if (isThenable(done)) done.then(undefined, () => {}); // the store itself logs that it is down
  }
}

/** Why the request was forwarded to the handlers. */
export type ForwardReason = NonNullable<CacheStatusParts["fwd"]>;
type CacheResult = "hit" | "miss" | "stale" | "bypass";
const COUNTERS = { hit: "hits", miss: "misses", stale: "stale", bypass: "bypasses" } as const;
const CONDITIONS = ["if-none-match", "if-modified-since", "range", "if-range"] as const;

/** One request and its response on their way through one cache. */
export class Exchange {
  readonly directives: RequestDirectives | undefined;
  /** The client's own conditions, while they are removed from the request's headers. */
  conditions: IncomingHttpHeaders | undefined = undefined;
  /** Has waited for another request's answer, and does not wait again. */
  hasWaited = false;
  /** When it stops waiting at the latest, however often it waits (by `performance.now()`). */
  waitUntil: number | undefined = undefined;
  /** Another request has fetched the answer meanwhile. */
  isCoalesced = false;

  constructor(
    readonly state: CacheState,
    readonly req: Request,
    readonly res: Response,
    readonly next: NextFunction,
    readonly key: ResourceKey,
    /** Whether its answer may be stored; if not, it may still get a stored answer. */
    readonly mayStore: boolean,
  ) {
    this.directives = state.plan.requestDirectives ? requestDirectivesOf(req.headers) : undefined;
  }

  /** The variant that this request gets under a list of Vary fields. */
  readonly variantOf = (fields: string): string => variantOf(this.req.headers, fields);

  /** Whether the client is authenticated: by Authorization, or by middleware that has set a user. */
  get isAuthenticated(): boolean {
    const { user, auth } = this.req as { user?: unknown; auth?: unknown };
    const { authorization } = this.req.headers;
    return (
      authorization !== undefined || knownState(this.req)?.auth !== undefined || isSet(user) || isSet(auth)
    );
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

  /**
   * Replaces the client's conditions by those of the stored answer, or removes them: the handlers are asked for a whole
   * answer that also serves the next client, and the cache itself answers the client's conditions. A range is left to
   * the handlers while no stored answer can be validated: they may produce a part faster than the whole.
   */
  replaceConditions(policy: Policy | undefined): void {
    const { headers } = this.req;
    const { etag, lastModified } = policy ?? {};
    if (headers.range !== undefined && etag === undefined && lastModified === undefined) return;
    const conditions: IncomingHttpHeaders = {};
    for (const name of CONDITIONS) {
      if (headers[name] === undefined) continue;
      conditions[name] = headers[name] as never;
      delete headers[name];
    }
    this.conditions = conditions;
    if (etag !== undefined) headers["if-none-match"] = etag;
    if (lastModified !== undefined) headers["if-modified-since"] = lastModified;
  }

  /** Restores the client's conditions for code that reads the request's headers after the handlers, as a log does. */
  restoreConditions(): void {
    const { conditions, req } = this;
    if (conditions === undefined) return;
    delete req.headers["if-none-match"];
    delete req.headers["if-modified-since"];
    Object.assign(req.headers, conditions);
  }

  /** Purges its own resource. */
  purge(): void {
    this.state.purge(this.key.host, this.key.target);
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

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

const FIRST_MS = 1_000;
const MOST_MS = 60_000;

interface Delay {
  readonly ms: number;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Pauses after failures: one second, then twice as long each time, at most one minute. */
export class BackOff {
  readonly #pauses: LRUCache<string, Delay> = new (loadLru())({
    max: 1_000,
    maxSize: 1024 * 1024,
    sizeCalculation: (_pause, variantKey) => sizeOf(variantKey) + 150,
  });

  mayTry(variantKey: string): boolean {
    const pause = this.#pauses.get(variantKey);
    return pause === undefined || Date.now() >= pause.until;
  }

  failed(variantKey: string): void {
    const ms = Math.min(MOST_MS, 2 * (this.#pauses.get(variantKey)?.ms ?? FIRST_MS / 2));
    this.#pauses.set(flat(variantKey), { ms, until: Date.now() + ms });
  }

  succeeded(variantKey: string): void {
    this.#pauses.delete(variantKey);
  }
}
