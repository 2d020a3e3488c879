import type { LRUCache } from "lru-cache"; // a map that is bounded by bytes, without timers
import lruCache from "./lru-cache.cjs";

type Constructor = typeof LRUCache;

let loaded: Constructor | undefined;

/** Loads lru-cache on first use: not every app that loads the package has a cache. */
export function loadLru(): Constructor {
  loaded ??= (lruCache.load() as { LRUCache: Constructor }).LRUCache;
  return loaded;
}
