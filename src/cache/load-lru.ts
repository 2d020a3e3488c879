import type { LRUCache } from "lru-cache"; // a map, a list and a sum of bytes: bounded, and nothing to keep alive
import lruCache from "./lru-cache.cjs";

type Constructor = typeof LRUCache;

let loaded: Constructor | undefined;

/** Not every app that loads the package has a cache. */
export function loadLru(): Constructor {
  loaded ??= (lruCache.load() as { LRUCache: Constructor }).LRUCache;
  return loaded;
}
