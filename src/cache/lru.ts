import type { LRUCache } from "lru-cache"; // a map that is bounded by bytes, without timers
import lruCache from "./lru-cache.cjs";

type Constructor = typeof LRUCache;

let loaded: Constructor | undefined;

/** Loads lru-cache on first use: not every app that loads the package has a cache. */
export function loadLru(): Constructor {
  loaded ??= (lruCache.load() as { LRUCache: Constructor }).LRUCache;
  return loaded;
}

/** V8 copies strings up to this length; a longer one may be a slice of another string and keep that alive. */
const LONGEST_COPIED = 12;

/**
 * A copy of the text in its own memory. A slice keeps the whole string alive that it was taken from (a request target,
 * a header of many kilobytes), and a concatenation keeps its parts alive.
 */
export function flat(text: string): string {
  if (text.length <= LONGEST_COPIED) return text;
  const encoding = WIDE.test(text) ? "utf16le" : "latin1";
  return Buffer.from(text, encoding).toString(encoding);
}

/** Copies of header names: there are few, and most answers have the same. */
const names = new Map<string, string>();
const MOST_NAMES = 500;

export function flatName(name: string): string {
  if (name.length <= LONGEST_COPIED) return name;
  const known = names.get(name);
  if (known !== undefined) return known;
  const own = flat(name);
  if (names.size < MOST_NAMES && name.length < 100) names.set(own, own);
  return own;
}

const WIDE = /[^\0-\xff]/;

/** The memory of a flat string in bytes: its characters and V8's own fields. */
export function sizeOf(text: string): number {
  return 24 + (WIDE.test(text) ? 2 : 1) * text.length;
}
