import type { LRUCache } from "lru-cache"; // a map, a list and a sum of bytes: bounded, and nothing to keep alive
import { requireFromHere } from "../config/require-from-here.js";

type Constructor = typeof LRUCache;

let loaded: Constructor | undefined;

/** Not every app that loads the package has a cache. */
export function loadLru(): Constructor {
  loaded ??= (
    (typeof require === "function" ? require("lru-cache") : requireFromHere("lru-cache")) as {
      LRUCache: Constructor;
    }
  ).LRUCache;
  return loaded;
}
