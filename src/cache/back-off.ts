import type { LRUCache } from "lru-cache";
import { flat, sizeOf } from "./flat.js";
import { loadLru } from "./load-lru.js";

const FIRST_MS = 1_000;
const MOST_MS = 60_000;

interface Delay {
  readonly ms: number;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Pauses after failures: one second, then twice as long each time, at most one minute. */
export class BackOff {
  readonly #pauses: LRUCache<string, Delay> = new (loadLru())({
    max: 1_000,
    maxSize: 1024 * 1024,
    sizeCalculation: (_pause, variantKey) => sizeOf(variantKey) + 150,
  });

  mayTry(variantKey: string): boolean {
    const pause = this.#pauses.get(variantKey);
    return pause === undefined || Date.now() >= pause.until;
  }

  failed(variantKey: string): void {
    const ms = Math.min(MOST_MS, 2 * (this.#pauses.get(variantKey)?.ms ?? FIRST_MS / 2));
    this.#pauses.set(flat(variantKey), { ms, until: Date.now() + ms });
  }

  succeeded(variantKey: string): void {
    this.#pauses.delete(variantKey);
  }
}
