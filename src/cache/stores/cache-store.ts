import { isWhole } from "../../lib/config/integers.js";
import { isHeaderValue, isToken } from "../../lib/http/tokens.js";
import type { HeaderList } from "../../lib/response/snapshot.js";
import type { ResourceKey, VariantOf } from "../key.js";
import { NEVER_STORED_STATUSES } from "../rules/storable.js";
import { isNeverStored } from "../rules/stored-headers.js";

export type { ResourceKey, VariantOf } from "../key.js";

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

/** A stored answer: plain data, which a store can hold as it is or as bytes. */
export interface Entry {
  readonly status: number;
  /** The reason phrase that the handler has set, or an empty string. */
  readonly reason: string;
  /** Without those that are never stored. Names as they were written, upper and lower case. */
  readonly headers: HeaderList;
  readonly body: Buffer;
  /** When the request went to the handlers, in milliseconds since the epoch. */
  readonly requestedAt: number;
  /** When the head of their answer came, in milliseconds since the epoch. */
  readonly respondedAt: number;
  /** Whether the request was authenticated. */
  readonly authorized: boolean;
  readonly tags: readonly string[];
}

/**
 * Whether a store has returned an entry that can be sent. Another program, another version or a fault may have put
 * anything there.
 */
export function isEntry(value: unknown): value is Entry {
  if (typeof value !== "object" || value === null) return false;
  const { status, reason, headers, body, requestedAt, respondedAt, authorized, tags } =
    value as Partial<Entry>;
  return (
    isStoredStatus(status) &&
    isValue(reason) &&
    Array.isArray(headers) &&
    headers.every(isHeader) &&
    Buffer.isBuffer(body) &&
    isTime(requestedAt) &&
    isTime(respondedAt) &&
    typeof authorized === "boolean" &&
    Array.isArray(tags) &&
    tags.every((tag) => typeof tag === "string")
  );
}

function isStoredStatus(status: unknown): boolean {
  return isWhole({ min: 200, max: 999 }, status) && !NEVER_STORED_STATUSES.has(status);
}

function isHeader(pair: unknown): boolean {
  if (!Array.isArray(pair) || pair.length !== 2) return false;
  const [name, value] = pair as [unknown, unknown];
  if (typeof name !== "string" || !isToken(name) || isNeverStored(name.toLowerCase())) return false;
  return isValue(value) || Number.isFinite(value) || (Array.isArray(value) && value.every(isValue));
}

function isValue(value: unknown): boolean {
  return typeof value === "string" && isHeaderValue(value);
}

/** The range of a Date, in milliseconds since the epoch. */
function isTime(value: unknown): boolean {
  return Number.isFinite(value) && Math.abs(value as number) <= 8.64e15;
}
