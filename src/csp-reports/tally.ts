import type { Logger } from "../lib/log/logger.js";

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
  readonly #logger: Logger | undefined;
  #counts = none();
  #isDue = false;

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  add(what: keyof Counts, count: number): void {
    if (count === 0 || this.#logger === undefined) return;
    this.#counts[what] += count;
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => this.#log(this.#logger!), PERIOD_MS).unref();
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
