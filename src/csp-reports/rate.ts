/** The current second and the 60 before it, so that no span of 60 seconds has more than the limit. */
const SECONDS = 61;

/** Limits the reports per minute, with a sliding window of constant size. */
export class Rate {
  readonly #limit: number;
  readonly #taken = new Array<number>(SECONDS).fill(0);
  #total = 0;
  #second = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param nowMs from a monotonic clock */
  isExhausted(nowMs: number): boolean {
    this.#forget(Math.floor(nowMs / 1_000));
    return this.#total >= this.#limit;
  }

  /** How many of the reports may be passed on now; counts them. */
  take(requested: number, nowMs: number): number {
    if (this.isExhausted(nowMs)) return 0;
    const granted = Math.min(requested, this.#limit - this.#total);
    this.#taken[this.#second % SECONDS]! += granted;
    this.#total += granted;
    return granted;
  }

  #forget(second: number): void {
    const passed = Math.min(second - this.#second, SECONDS);
    for (let i = 1; i <= passed; i++) {
      const slot = (this.#second + i) % SECONDS;
      this.#total -= this.#taken[slot]!;
      this.#taken[slot] = 0;
    }
    if (passed > 0) this.#second = second;
  }
}
