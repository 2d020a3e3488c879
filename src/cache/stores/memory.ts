import { integer, readOptions, type SchemaOf } from "../../lib/config/schema.js";
import type { CacheStore } from "./cache-store.js";
import { trust } from "./guard.js";
import { MemoryStore } from "./memory-store.js";

export interface MemoryStoreOptions {
  /** The memory that all stored answers together may take, in bytes. @defaultValue 64 MiB */
  readonly maxBytes?: number | undefined;
  /** Larger bodies are not stored: bytes, at most `maxBytes`. @defaultValue 1 MiB, or `maxBytes` if that is less */
  readonly maxEntryBytes?: number | undefined;
}

/**
 * Stores answers in the memory of this process, up to a number of bytes; the least recently used are dropped first. It
 * is the fastest store, as it answers synchronously. Other processes see neither its answers nor its purges.
 *
 * @example
 * app.use(cache({ store: memoryStore() })); // 64 MiB
 *
 * @example
 * app.use(cache({ store: memoryStore({ maxBytes: 256 * 1024 * 1024, maxEntryBytes: 8 * 1024 * 1024 }) }));
 *
 * @throws {ConfigError} with all problems of the options
 * @see docs/cache.md
 */
export function memoryStore(options?: MemoryStoreOptions): CacheStore {
  return trust(new MemoryStore(checkMemoryOptions(options)));
}

const MIB = 1024 * 1024;
/** Less holds no answer; more is a typing error. */
const MIN_BYTES = 1024;
const MAX_BYTES = 2 ** 40;

export const OPTIONS = () =>
  ({
    maxBytes: integer({ min: MIN_BYTES, max: MAX_BYTES, unit: "bytes" }, 64 * MIB),
    maxEntryBytes: integer({ min: 1, max: MAX_BYTES, unit: "bytes" }),
  }) satisfies SchemaOf<MemoryStoreOptions>;

function checkMemoryOptions(options: MemoryStoreOptions | undefined) {
  const { checker, plan } = readOptions("memoryStore()", OPTIONS, options);
  const { maxBytes, maxEntryBytes = Math.min(MIB, maxBytes) } = plan;
  if (maxEntryBytes > maxBytes)
    checker.add("maxEntryBytes", `must be at most maxBytes, which is ${maxBytes}`);
  return checker.done({ maxBytes, maxEntryBytes });
}
