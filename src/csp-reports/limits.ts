import type { Logger } from "../lib/log/logger.js";

/** The current second and the 60 before it, so that no span of 60 seconds has more than the limit. */
const SECONDS = 61;

/** Limits the reports per minute, with a sliding window of constant size. */
export class Rate {
  readonly #taken = new Array<number>(SECONDS).fill(0);
  #total = 0;
  #second = 0;

  constructor(private readonly limit: number) {}

  /** @param nowMs from a monotonic clock */
  isExhausted(nowMs: number): boolean {
    this.#forget(Math.floor(nowMs / 1_000));
    return this.#total >= this.limit;
  }

  /** How many of the reports may be passed on now; counts them. */
  take(requested: number, nowMs: number): number {
    if (this.isExhausted(nowMs)) return 0;
    const granted = Math.min(requested, this.limit - this.#total);
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

/** Why reports were left out. */
export interface Counts {
  /** Reports about extensions, in-app browsers, translators. */
  noise: number;
  /** Entries of a batch that are no reports. */
  invalid: number;
  /** Beyond the first 100 of a batch. */
  overBatch: number;
  /** Beyond `maxPerMinute`. */
  overRate: number;
  /** Requests that came after the limit was reached; their bodies were not read. */
  unreadRequests: number;
}

const PERIOD_MS = 60_000;

/** Counts what is left out, and logs it at most once a minute: at `warn` if reports were lost, else at `debug`. */
export class Tally {
  #counts = none();
  #isDue = false;

  constructor(private readonly logger: Logger | undefined) {}

  add(what: keyof Counts, count: number): void {
    if (count === 0 || this.logger === undefined) return;
    this.#counts[what] += count;
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => this.#log(this.logger!), PERIOD_MS).unref();
  }

  #log(logger: Logger): void {
    const counts = this.#counts;
    this.#counts = none();
    this.#isDue = false;
    const isLoss = counts.overBatch + counts.overRate + counts.unreadRequests > 0;
    const filled = Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
    logger[isLoss ? "warn" : "debug"](filled, "cspReports: reports of the last minute that were left out");
  }
}

function none(): Counts {
  return { noise: 0, invalid: 0, overBatch: 0, overRate: 0, unreadRequests: 0 };
}
