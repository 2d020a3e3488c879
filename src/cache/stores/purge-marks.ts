/** 64 KiB. With 800 purges while a handler runs, one of ten answers is not stored without need. */
const SLOTS = 8_192;

/**
 * Remembers the times of purges in a fixed space, for answers that were being fetched meanwhile. A name has a slot,
 * which holds the time of the latest purge of any name that shares it: a purge is never missed, but an answer may be
 * taken for purged without need.
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
