import { stderrLogger } from "../config/stderr-logger.js";
import type { Entry } from "./entry.js";
import type { CacheStore, Lookup } from "./store.js";
import { Circuit, FAILED } from "./stores/circuit.js";

/** Stores that answer in time and never fail, because they see to it themselves. */
const trusted = new WeakSet<CacheStore>();

export function trust<S extends CacheStore>(store: S): S {
  trusted.add(store);
  return store;
}

const TIMEOUT_MS = 250;
const DEFAULT_MAX_ENTRY_BYTES = 1024 * 1024;
/** Nothing is stored under the stamp of a lookup that failed. */
const NOTHING: Lookup = { entry: undefined, known: false, stamp: Number.NEGATIVE_INFINITY };

/** A store of somebody else's making may throw, reject or never answer: the requests are then the handlers' to answer. */
export function guardedStore(store: CacheStore): CacheStore {
  if (trusted.has(store)) return store;
  const circuit = new Circuit(TIMEOUT_MS, stderrLogger, "store");
  const run = <T>(operation: () => T | Promise<T>) => circuit.run(async () => operation());
  return {
    maxEntryBytes: Number.isFinite(store.maxEntryBytes) ? store.maxEntryBytes : DEFAULT_MAX_ENTRY_BYTES,
    async get(key, variantOf) {
      const found: unknown = await run(() => store.get(key, variantOf));
      return isLookup(found) ? found : NOTHING;
    },
    async put(key, fields, variant, entry, stamp, keepMs) {
      if (stamp !== NOTHING.stamp) await run(() => store.put(key, fields, variant, entry, stamp, keepMs));
    },
    async purge(target) {
      await run(() => store.purge(target));
    },
    async stats() {
      const stats = await run(() => store.stats());
      return stats === FAILED ? { entries: 0, bytes: 0 } : stats;
    },
  };
}

function isLookup(found: unknown): found is Lookup {
  if (typeof found !== "object" || found === null) return false;
  const { entry } = found as Lookup;
  return entry === undefined || isEntry(entry);
}

function isEntry(entry: unknown): entry is Entry {
  if (typeof entry !== "object" || entry === null) return false;
  const { status, headers, body, requestedAt, respondedAt } = entry as Partial<Entry>;
  return (
    Number.isInteger(status) &&
    Array.isArray(headers) &&
    Buffer.isBuffer(body) &&
    Number.isFinite(requestedAt) &&
    Number.isFinite(respondedAt)
  );
}
