import type { LRUCache } from "lru-cache";
import { flat, sizeOf } from "./flat.js";
import { loadLru } from "./load-lru.js";

const FIRST_MS = 1_000;
const MOST_MS = 60_000;

interface Pause {
  readonly ms: number;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Pauses after failures: one second, then twice as long each time, at most one minute. */
export class BackOff {
  readonly #pauses: LRUCache<string, Pause> = new (loadLru())({
    max: 1_000,
    maxSize: 1024 * 1024,
    sizeCalculation: (_pause, place) => sizeOf(place) + 150,
  });

  mayTry(place: string): boolean {
    const pause = this.#pauses.get(place);
    return pause === undefined || Date.now() >= pause.until;
  }

  failed(place: string): void {
    const ms = Math.min(MOST_MS, 2 * (this.#pauses.get(place)?.ms ?? FIRST_MS / 2));
    this.#pauses.set(flat(place), { ms, until: Date.now() + ms });
  }

  succeeded(place: string): void {
    this.#pauses.delete(place);
  }
}
