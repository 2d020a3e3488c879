/** The running second and the sixty whole ones before it: so no minute, wherever it begins, holds more than the limit. */
const SECONDS = 61;

/** How many reports may be told: a sliding window of constant size, however many come. */
export class Rate {
  readonly #limit: number;
  readonly #taken = new Array<number>(SECONDS).fill(0);
  #total = 0;
  #second = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param nowMs of a clock that does not go back */
  isSpent(nowMs: number): boolean {
    this.#forget(Math.floor(nowMs / 1_000));
    return this.#total >= this.#limit;
  }

  /** How many of the wanted ones may be told now; they are counted. */
  take(wanted: number, nowMs: number): number {
    if (this.isSpent(nowMs)) return 0;
    const granted = Math.min(wanted, this.#limit - this.#total);
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
