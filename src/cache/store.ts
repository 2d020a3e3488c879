import type { Entry } from "./entry.js";

/** Where an answer belongs: all variants of one URL are purged together. */
export interface ResourceKey {
  /** Lower-case, with the port if the client gave one. */
  readonly host: string;
  /** Path and query as the client sent them, or what the option `key` made of the request. */
  readonly target: string;
  /**
   * Apart from all others of the same resource, and purged with them: the scheme, and what proxies say of the request.
   * Empty for most.
   */
  readonly division: string;
}

/** What a store knows of a resource. */
export interface Lookup {
  /** The newest answer for this request that was not purged since. It may be stale. */
  readonly entry: Entry | undefined;
  /** Whether the resource has other variants: what was missed is not the resource, but this variant. */
  readonly known: boolean;
  /** To be given back with what is put: it must not be stored if it was purged after this. */
  readonly stamp: number;
  /** The store could not be asked: nothing can be stored after this lookup. */
  readonly isDown?: boolean | undefined;
}

export interface StoreStats {
  readonly entries: number;
  readonly bytes: number;
}

/** What is to be forgotten: one resource on one host (by `host` and `target`) or on all hosts, a tag, or everything. */
export type PurgeTarget =
  | { readonly host: string | undefined; readonly target: string }
  | { readonly tag: string }
  | "all";

/**
 * The variant that a request would get under a list of Vary fields (lower-case, sorted, joined by ","; "" for none):
 * two requests with the same text may share one answer.
 */
export type VariantOf = (fields: string) => string;

/** Where answers are kept. A store that answers at once (no promise) costs a hit the least. */
export interface CacheStore {
  get(key: ResourceKey, variantOf: VariantOf): Lookup | Promise<Lookup>;
  /**
   * `fields` are those of the answer's Vary, `variant` what `variantOf(fields)` gave for its request. The entry is of
   * no use after `keepMs`.
   */
  put(
    key: ResourceKey,
    fields: string,
    variant: string,
    entry: Entry,
    stamp: number,
    keepMs: number,
  ): void | Promise<void>;
  purge(target: PurgeTarget): void | Promise<void>;
  stats(): StoreStats | Promise<StoreStats>;
  /** Nothing can be stored now, as far as the store knows: `Cache-Status` does not say `stored` then. */
  readonly isDown?: boolean;
  /** A larger body is not gathered for this store. */
  readonly maxEntryBytes: number;
}
