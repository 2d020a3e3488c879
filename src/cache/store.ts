import type { Entry } from "./entry.js";

/** The key of an answer. All variants and partitions of one host and target are purged together. */
export interface ResourceKey {
  /** In lower case, with its port if that is not a standard one. */
  readonly host: string;
  /** Path and query as the client sent them, or what the option `key` returned. */
  readonly target: string;
  /**
   * Separates answers of one resource by the scheme and by what proxies say of the request. Empty for most requests.
   */
  readonly partition: string;
}

/** The result of looking up a resource in a store. */
export interface Lookup {
  /** The newest answer for this request that was not purged. It may be stale. */
  readonly entry: Entry | undefined;
  /** Whether the resource has answers, if only other variants. */
  readonly known: boolean;
  /** The store's time of this lookup. `put` gets it back and must store nothing that was purged since. */
  readonly version: number;
  /** The store could not be reached, so nothing can be stored after this lookup. */
  readonly isDown?: boolean | undefined;
}

export interface StoreStats {
  readonly entries: number;
  readonly bytes: number;
}

/** What to purge: one resource on one host or (`host` undefined) on all hosts, all answers with a tag, or everything. */
export type PurgeTarget =
  | { readonly host: string | undefined; readonly target: string }
  | { readonly tag: string }
  | "all";

/**
 * The variant that a request gets under a list of Vary fields (lower-case, sorted, joined by ","; "" for none). Two
 * requests with an equal variant may share one answer.
 */
export type VariantOf = (fields: string) => string;

/** Where answers are stored. Hits are fastest from a store that returns values, not promises. */
export interface CacheStore {
  get(key: ResourceKey, variantOf: VariantOf): Lookup | Promise<Lookup>;
  /**
   * `fields` are the answer's Vary fields, `variant` is `variantOf(fields)` for its request. The entry is of no use
   * after `keepMs`.
   */
  put(
    key: ResourceKey,
    fields: string,
    variant: string,
    entry: Entry,
    version: number,
    keepMs: number,
  ): void | Promise<void>;
  purge(target: PurgeTarget): void | Promise<void>;
  stats(): StoreStats | Promise<StoreStats>;
  /** Nothing can be stored now, as far as the store knows. `Cache-Status` then does not say `stored`. */
  readonly isDown?: boolean;
  /** Larger bodies are not stored. */
  readonly maxEntryBytes: number;
}
