import type { Entry } from "../entry.js";
import { flat, flatName } from "../flat.js";

/**
 * The memory of the objects around an entry, measured on Node 20 to 24 with heaps of small entries and rounded up: the
 * entry, its Buffer with a backing store of its own, its nodes in map and list, what the first hit computes, and the
 * reserve of a heap with that much churn.
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
