import { flat, flatName } from "../lru.js";
import type { Entry } from "./cache-store.js";

/** An entry in memory, with what is needed to find it and to remove it. */
export class StoredEntry {
  constructor(
    readonly key: string,
    readonly host: string,
    readonly partition: string,
    readonly entry: Entry,
    /** Milliseconds since the epoch. */
    readonly expiresAt: number,
    /** Newer answers have a higher number. */
    readonly order: number,
    /** The list of Vary fields that it is a variant under; undefined if its resource has no variants. */
    readonly list: VaryList | undefined,
  ) {}
}

/** One list of Vary fields of a resource's answers, and the keys of the variants under it. */
export interface VaryList {
  /** Never used twice, so that the keys of variants under a dropped list are not used again either. */
  readonly id: number;
  readonly fields: string;
  readonly resource: Resource;
  readonly keys: Set<string>;
}

/** With more lists, the least recently used is dropped: a handler whose Vary changes all the time must not fill the store. */
export const MAX_LISTS = 4;

/** A resource with variants, which are stored under keys of their own. */
export class Resource {
  /** The most recently used first. */
  readonly lists: VaryList[] = [];

  constructor(
    readonly key: string,
    readonly host: string,
  ) {}

  /** Moves the list to the front, or adds it; returns the list that is dropped for it. */
  use(fields: string, newId: () => number): VaryList | undefined {
    const at = this.lists.findIndex((list) => list.fields === fields);
    const [list] =
      at === -1
        ? [{ id: newId(), fields, resource: this, keys: new Set<string>() }]
        : this.lists.splice(at, 1);
    this.lists.unshift(list!);
    return this.lists.length > MAX_LISTS ? this.lists.pop() : undefined;
  }
}

/** Under an empty list of fields, all requests of a partition are one variant. */
export function variantKey({ id, fields }: VaryList, partition: string, variant: string): string {
  return ` ${id} ${partition.length} ${partition}${fields === "" ? "" : variant}`;
}

/** The first space ends the host, so spaces in the host, which the client chose, are escaped. */
export function resourceKey(host: string, target: string): string {
  return `${/[ %]/.test(host) ? host.replaceAll("%", "%25").replaceAll(" ", "%20") : host} ${target}`;
}

/**
 * The memory of the objects around an entry, measured on Node 20 to 24 with heaps of small entries and rounded up: the
 * entry, its Buffer with a backing store of its own, its nodes in map and list, what the first hit computes, and what V8
 * reserves for a heap in which so many objects come and go.
 */
const PER_ENTRY = 1_000;
const PER_HEADER = 100;
const PER_TAG = 150;

/** The memory that an entry takes under a key, in bytes; an upper estimate. */
export function weightOf(key: string, entry: Entry): number {
  let bytes = PER_ENTRY + entry.body.length + 2 * (key.length + entry.reason.length);
  for (const [name, value] of entry.headers) bytes += PER_HEADER + name.length + weightOfValue(value);
  for (const tag of entry.tags) bytes += PER_TAG + 2 * tag.length;
  return bytes;
}

function weightOfValue(value: string | number | readonly string[]): number {
  if (typeof value === "string") return value.length;
  if (typeof value === "number") return 8;
  let bytes = 0;
  for (const one of value) bytes += 32 + one.length;
  return bytes;
}

/**
 * A copy of the entry in its own memory. A small Buffer is mostly a slice of a shared slab, and a header may be a slice
 * of a longer string; each would keep the whole slab or string alive.
 */
export function compact(entry: Entry): Entry {
  const { reason, headers, body, tags } = entry;
  return {
    ...entry,
    reason: flat(reason),
    headers: headers.map(([name, value]) => [flatName(name), flatValue(value)] as const),
    body: body.buffer.byteLength === body.length ? body : copyOf(body),
    tags: tags.map(flat),
  };
}

function flatValue(value: string | number | readonly string[]): string | number | readonly string[] {
  if (typeof value === "string") return flat(value);
  return typeof value === "number" ? value : value.map(flat);
}

function copyOf(body: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(body.length);
  body.copy(own);
  return own;
}

/** They take 64 KiB. If 800 names are purged while a handler runs, one answer in ten is needlessly not stored. */
const SLOTS = 8_192;

/**
 * Remembers the times of purges in a fixed space, for answers that were being fetched meanwhile. A name has a slot,
 * which holds the time of the latest purge of any name that shares it: a purge is never missed, but an answer may count as
 * purged although it was not.
 */
export class PurgeMarks {
  readonly #slots = new Float64Array(SLOTS);
  #all = 0;

  mark(name: string, time: number): void {
    this.#slots[slotOf(name)] = time;
  }

  markAll(time: number): void {
    this.#all = time;
  }

  /** Whether the name, or everything, was purged after the time. */
  since(time: number, name: string): boolean {
    return this.#all > time || this.#slots[slotOf(name)]! > time;
  }
}

/** FNV-1a over the characters. */
function slotOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 16)) & (SLOTS - 1);
}
