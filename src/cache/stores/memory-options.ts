import { Checker } from "../../lib/config/checker.js";

export interface MemoryStoreOptions {
  /**
   * The memory that all stored answers together may take, in bytes.
   * @defaultValue 64 MiB
   */
  readonly maxBytes?: number | undefined;
  /**
   * Larger bodies are not stored. In bytes, at most `maxBytes`.
   * @defaultValue 1 MiB, or `maxBytes` if that is less
   */
  readonly maxEntryBytes?: number | undefined;
}

export interface MemoryPlan {
  readonly maxBytes: number;
  readonly maxEntryBytes: number;
}

const KNOWN = ["maxBytes", "maxEntryBytes"] as const satisfies (keyof MemoryStoreOptions)[];

const MIB = 1024 * 1024;
/** Less holds no answer; more is a typing error. */
const MIN_BYTES = 1024;
const MAX_BYTES = 2 ** 40;

export function checkMemoryOptions(options: MemoryStoreOptions | undefined): MemoryPlan {
  const checker = Checker.of("memoryStore()", options, KNOWN);
  const maxBytes = checker.integer("maxBytes", { min: MIN_BYTES, max: MAX_BYTES, unit: "bytes" }, 64 * MIB);
  const fallback = Math.min(MIB, maxBytes);
  const maxEntryBytes = checker.integer("maxEntryBytes", { min: 1, max: MAX_BYTES, unit: "bytes" }, fallback);
  if (maxEntryBytes > maxBytes)
    checker.add("maxEntryBytes", `must be at most maxBytes, which is ${maxBytes}`);
  checker.done();
  return { maxBytes, maxEntryBytes };
}
