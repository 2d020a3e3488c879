import { stderrLogger } from "../lib/log/stderr-logger.js";
import { peek } from "../lib/values/thrown.js";
import { isEntry } from "./entry.js";
import type { CacheStore, Lookup } from "./store.js";
import { Circuit, FAILED, PutWatch } from "./stores/circuit.js";

/** Our own stores, which answer in time and never fail. */
const trusted = new WeakSet<CacheStore>();

export function trust<S extends CacheStore>(store: S): S {
  trusted.add(store);
  return store;
}

const TIMEOUT_MS = 250;
const DEFAULT_MAX_ENTRY_BYTES = 1024 * 1024;
/** A lookup that failed; `put` stores nothing under its version. */
const DOWN: Lookup = { entry: undefined, known: false, version: Number.NEGATIVE_INFINITY, isDown: true };

/** Wraps the app's own store, which may throw, reject or never answer: requests then go to the handlers. */
export function guardedStore(store: CacheStore): CacheStore {
  if (trusted.has(store)) return store;
  const circuit = new Circuit(TIMEOUT_MS, stderrLogger, "store");
  const puts = new PutWatch();
  const run = <T>(operation: () => T | Promise<T>) => circuit.run(async () => operation());
  return {
    maxEntryBytes: Number.isFinite(store.maxEntryBytes) ? store.maxEntryBytes : DEFAULT_MAX_ENTRY_BYTES,
    get isDown() {
      return circuit.isOpen || puts.isFailing;
    },
    async get(key, variantOf) {
      const found: unknown = await run(() => store.get(key, variantOf));
      if (isLookup(found)) return found;
      return found === FAILED ? DOWN : missOf(found);
    },
    async put(key, fields, variant, entry, version, keepMs) {
      if (version === DOWN.version) return;
      puts.ended(await run(() => store.put(key, fields, variant, entry, version, keepMs)));
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

/** An invalid entry is a miss, and the answer that is then fetched replaces it. */
function missOf(found: unknown): Lookup {
  const version: unknown = peek(found, "version");
  return typeof version === "number" ? { entry: undefined, known: false, version: version } : DOWN;
}

function isLookup(found: unknown): found is Lookup {
  try {
    if (typeof found !== "object" || found === null) return false;
    const { entry } = found as Lookup;
    return entry === undefined || isEntry(entry);
  } catch {
    return false; // a getter or a Proxy threw
  }
}
