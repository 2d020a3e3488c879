import type { LRUCache } from "lru-cache";
import { BackOff } from "./back-off.js";
import { flat, sizeOf } from "./flat.js";
import type { Flight } from "./flight.js";
import { guardedStore } from "./guarded-store.js";
import { loadLru } from "./load-lru.js";
import type { CachePlan } from "./options.js";
import { cacheStatus } from "./rules/cache-status.js";
import type { CacheStore } from "./store.js";

/** What is remembered of a resource beside its answers. */
export interface Habit {
  /** The fields of Vary of its newest answer. */
  readonly fields: string;
  /** Until then its misses do not wait for one another: the last answer could not be shared (ms since the epoch). */
  readonly apartUntil: number;
}

/** One cache: what it is to do, and what is under way. */
export class CacheState {
  readonly flights = new Map<string, Flight>();
  readonly refreshing = new Set<string>();
  /** Of refreshes that have failed. */
  readonly backOff = new BackOff();
  readonly habits: LRUCache<string, Habit> = new (loadLru())({
    max: 10_000,
    maxSize: 4 * 1024 * 1024,
    sizeCalculation: ({ fields }, resource) => sizeOf(resource) + sizeOf(fields) + 150,
  });
  /** Requests that this cache has let pass: mounted twice, it acts once. */
  readonly passed = new WeakSet<object>();
  readonly store: CacheStore;
  /** What handlers have written that clients do not take, beyond what these would hold back, in bytes. */
  ahead = 0;
  hits = 0;
  misses = 0;
  stale = 0;
  bypasses = 0;

  /** What every hit begins its member of Cache-Status with. */
  readonly hitStatus: string;

  remember(resource: string, fields: string, apartUntil: number): void {
    if (fields === "" && apartUntil === 0) {
      this.habits.delete(resource); // the usual is not remembered
      return;
    }
    const known = this.habits.get(resource);
    if (known?.fields === fields && known.apartUntil === apartUntil) return;
    this.habits.set(flat(resource), { fields: flat(fields), apartUntil });
  }

  constructor(readonly plan: CachePlan) {
    this.store = guardedStore(plan.store);
    this.hitStatus = cacheStatus(plan.name, { hit: true });
  }
}
