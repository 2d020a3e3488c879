import type { LRUCache } from "lru-cache";
import { BackOff } from "./back-off.js";
import { flat, sizeOf } from "./flat.js";
import type { SharedFetch } from "./flight.js";
import { guardedStore } from "./guarded-store.js";
import { loadLru } from "./load-lru.js";
import type { CachePlan } from "./options.js";
import { cacheStatus } from "./rules/cache-status.js";
import type { CacheStore } from "./store.js";

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
  readonly refreshing = new Set<string>();
  /** Pauses after failed background refreshes. */
  readonly backOff = new BackOff();
  readonly hints: LRUCache<string, ResourceHint> = new (loadLru())({
    max: 10_000,
    maxSize: 4 * 1024 * 1024,
    sizeCalculation: ({ fields }, resource) => sizeOf(resource) + sizeOf(fields) + 150,
  });
  /** Requests that this cache has passed on: a cache that is mounted twice acts once. */
  readonly passed = new WeakSet<object>();
  readonly store: CacheStore;
  /** Bytes that handlers have written for the store ahead of clients that do not read. */
  ahead = 0;
  hits = 0;
  misses = 0;
  stale = 0;
  bypasses = 0;

  /** The beginning of the Cache-Status member of every hit. */
  readonly hitStatus: string;

  remember(resource: string, fields: string, hitForMissUntil: number): void {
    if (fields === "" && hitForMissUntil === 0) {
      this.hints.delete(resource); // these are the defaults
      return;
    }
    const known = this.hints.get(resource);
    if (known?.fields === fields && known.hitForMissUntil === hitForMissUntil) return;
    this.hints.set(flat(resource), { fields: flat(fields), hitForMissUntil });
  }

  constructor(readonly plan: CachePlan) {
    this.store = guardedStore(plan.store);
    this.hitStatus = cacheStatus(plan.name, { hit: true });
  }
}
