import type { RequestHandler } from "express";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { purgeKey } from "./key.js";
import { handle } from "./lookup.js";
import { type CacheOptions, checkOptions } from "./options.js";
import { CacheState } from "./state.js";

export type { CacheOptions } from "./options.js";
export type {
  CacheStore,
  Entry as CacheEntry,
  Lookup as CacheLookup,
  PurgeTarget,
  ResourceKey,
  StoreStats,
  VariantOf,
} from "./stores/cache-store.js";
export { type MemoryStoreOptions, memoryStore } from "./stores/memory.js";
export { type RedisClient, type RedisStoreOptions, redisStore } from "./stores/redis.js";

export interface CacheStats {
  /** Requests answered from the store with a fresh or a validated answer. */
  readonly hits: number;
  /** Answers from the handlers. */
  readonly misses: number;
  /** Answers from the store that were no longer fresh. */
  readonly stale: number;
  /** Requests that went to the handlers without asking the store. */
  readonly bypasses: number;
  /** Answers in the store. */
  readonly entries: number;
  /** Size of the entries in bytes, as reported by the store. */
  readonly bytes: number;
}

/** The middleware, with methods for what it has stored. Their promises do not reject while the store is down. */
export interface Cache extends Handler {
  /** Removes all variants of an absolute URL, or of a path (with its query) on all hosts. */
  purge(url: string): Promise<void>;
  /** Removes all answers that had this tag in `Cache-Tag` or `Surrogate-Key`. */
  purgeTag(tag: string): Promise<void>;
  /** Removes everything. */
  clear(): Promise<void>;
  /** What this process has counted since its start. */
  stats(): Promise<CacheStats>;
}

/**
 * A shared HTTP cache in front of the handlers (RFC 9111). It stores what their `Cache-Control` allows and never what
 * belongs to one user, answers from the store while the answer is fresh, and says in `Cache-Status` (RFC 9211) what it
 * did and why. Concurrent misses run the handler once. An answer without a lifetime (`max-age`, `s-maxage`, `Expires`)
 * is never used again without asking the handler.
 *
 * Place: after what belongs on every answer (context, log, security headers, CORS) and before the routes. After
 * `compress` it stores plain bodies; before `compress` it stores encoded bodies, one for each encoding.
 *
 * @example
 * app.use(cache());
 * app.get("/news", async (req, res) => {
 *   res.set("Cache-Control", "public, max-age=60, stale-while-revalidate=600");
 *   res.json(await news.latest());
 * });
 *
 * @example
 * const pages = cache({ store: redisStore({ client }), hosts: ["www.example.com"] });
 * app.use(pages);
 * app.put("/products/:id", async (req, res) => {
 *   await products.save(req.params.id, req.body);
 *   await pages.purgeTag(`product-${req.params.id}`);
 *   res.sendStatus(204);
 * });
 *
 * @throws {ConfigError} with all problems of the options
 * @see docs/cache.md
 */
export function cache(options?: CacheOptions): Cache {
  const state = new CacheState(checkOptions(options));
  const { store } = state;
  const handler: RequestHandler = function cache(req, res, next) {
    handle(state, req, res, next);
  };
  return Object.assign(describeHandler(handler, { concern: "cache" }), {
    async purge(url: string): Promise<void> {
      if (
        typeof url !== "string" ||
        url === "" ||
        (state.plan.key === undefined && !/^(?:https?:\/\/[^/]|\/)/i.test(url))
      ) {
        throw new TypeError(`purge() needs an absolute URL, or a path that begins with "/": ${String(url)}`);
      }
      await store.purge(purgeKey(url));
    },
    async purgeTag(tag: string): Promise<void> {
      if (typeof tag !== "string" || tag === "") throw new TypeError("purgeTag() needs the tag's name");
      await store.purge({ tag });
    },
    async clear(): Promise<void> {
      await store.purge("all");
    },
    async stats(): Promise<CacheStats> {
      const { hits, misses, stale, bypasses } = state;
      return { hits, misses, stale, bypasses, ...(await store.stats()) };
    },
  });
}
