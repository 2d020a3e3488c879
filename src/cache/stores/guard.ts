import type { Logger } from "../../lib/log/logger.js";
import { stderrLogger } from "../../lib/log/stderr-logger.js";
import { describeThrown, peek } from "../../lib/values/thrown.js";
import { type CacheStore, isEntry, type Lookup } from "./cache-store.js";

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

/** This many failures in a row open the circuit. One time-out is enough, as the next would cost as much again. */
const FAILURES = 3;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** The shortest time between two warnings about refused operations. */
const WARN_INTERVAL_MS = 60_000;

/** The result of an operation that failed, took too long, or was not tried. */
export const FAILED: unique symbol = Symbol("failed");

/** Watches puts: a store that is out of memory or read-only answers lookups, but stores nothing. */
export class PutWatch {
  #failedUntil = 0;

  get isFailing(): boolean {
    return performance.now() < this.#failedUntil;
  }

  ended(result: unknown): void {
    this.#failedUntil = result === FAILED ? performance.now() + FIRST_PAUSE_MS : 0;
  }
}

class TimeoutError extends Error {
  override readonly name = "TimeoutError";
}

/**
 * Limits the time of each operation, and tries none while the store is down. After a pause, which doubles while the
 * store stays down, one operation is tried. Logs one warning when it opens and one line when it closes.
 */
export class Circuit {
  #failures = 0;
  #pauseMs = 0;
  #openUntil = 0;
  #probing = false;
  #warnedAt = Number.NEGATIVE_INFINITY;

  /** @param what the name of the store in the log */
  constructor(
    private readonly timeoutMs: number,
    private readonly logger: Logger,
    private readonly what = "Redis store",
  ) {}

  /** Whether an operation would not be tried now. */
  get isOpen(): boolean {
    return this.#pauseMs > 0 && (this.#probing || performance.now() < this.#openUntil);
  }

  /** Milliseconds until the next operation is tried. */
  get waitMs(): number {
    return this.#pauseMs === 0 ? 0 : Math.max(0, this.#openUntil - performance.now());
  }

  /** Never rejects. */
  async run<T>(operation: () => Promise<T>): Promise<T | typeof FAILED> {
    if (this.isOpen) return FAILED;
    const isProbe = this.#pauseMs > 0;
    this.#probing = isProbe;
    try {
      const result = await within(this.timeoutMs, operation);
      this.#succeeded(isProbe);
      return result;
    } catch (error) {
      if (isRefusal(error)) {
        this.#succeeded(isProbe); // a refusal is an answer: the store is up
        this.#warnRefused(error);
      } else {
        this.#failed(error, isProbe);
      }
      return FAILED;
    }
  }

  #succeeded(isProbe: boolean): void {
    if (!isProbe) {
      if (this.#pauseMs === 0) this.#failures = 0; // else it was sent before the circuit opened
      return;
    }
    this.#probing = false;
    this.#failures = 0;
    this.#pauseMs = 0;
    this.logger.info({}, `cache: the ${this.what} answers again`);
  }

  #failed(error: unknown, isProbe: boolean): void {
    if (isProbe) {
      this.#probing = false;
      this.#pause(Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS));
      return;
    }
    if (this.#pauseMs > 0) return; // sent before the circuit opened
    this.#failures = error instanceof TimeoutError ? FAILURES : this.#failures + 1;
    if (this.#failures < FAILURES) return;
    this.#pause(FIRST_PAUSE_MS);
    this.logger.warn(
      errorFields(error),
      `cache: the ${this.what} does not answer; nothing is cached until it does`,
    );
  }

  #warnRefused(error: unknown): void {
    if (performance.now() - this.#warnedAt < WARN_INTERVAL_MS) return;
    this.#warnedAt = performance.now();
    this.logger.warn(errorFields(error), `cache: the ${this.what} refuses an operation`);
  }

  #pause(pauseMs: number): void {
    this.#pauseMs = pauseMs;
    this.#openUntil = performance.now() + pauseMs;
  }
}

/** Whether Redis itself sent the error (out of memory, no permission, still loading): it begins with a code. */
function isRefusal(error: unknown): boolean {
  return /^[A-Z]{2,}\b/.test(String(peek(error, "message")));
}

function errorFields(error: unknown): object {
  const { type, message } = describeThrown(error);
  return { error: { type, message } };
}

/** Settles with the operation, or rejects after `ms`. */
export function within<T>(ms: number, operation: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TimeoutError(`no answer within ${ms} ms`)), ms).unref();
    const settled = () => clearTimeout(timer);
    // The promise's constructor turns a synchronous throw of a client into a rejection.
    const result = new Promise<T>((begin) => begin(operation()));
    result.then(resolve, reject);
    result.then(settled, settled);
  });
}
