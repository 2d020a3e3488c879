import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import type { Sample } from "./report.js";

/** Five minutes. */
const MAX_SAMPLES = 300;
/** Percentiles are those of the requests that have ended in this time. */
const WINDOW_MS = 10_000;
const MAX_DURATIONS = 5_000;
const RESOLUTION_MS = 10;

/** Figures of the whole app, one sample a second. */
export class Stats {
  readonly samples: Sample[] = [];
  inFlight = 0;
  #ended = 0;
  /** When each request ended, and its duration; the oldest first. */
  #durations: { readonly at: number; readonly ms: number }[] = [];
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly sampled: (sample: Sample) => void) {
    this.#delay.enable();
    this.#timer = setInterval(() => this.#sample(), 1_000);
    this.#timer.unref();
  }

  ended(ms: number): void {
    this.#ended++;
    this.#durations.push({ at: Date.now(), ms });
    if (this.#durations.length > 2 * MAX_DURATIONS) this.#durations = this.#durations.slice(-MAX_DURATIONS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#delay.disable();
  }

  #sample(): void {
    const now = Date.now();
    this.#durations = this.#durations.filter(({ at }) => now - at < WINDOW_MS).slice(-MAX_DURATIONS);
    const sorted = this.#durations.map(({ ms }) => ms).sort((a, b) => a - b);
    const sample: Sample = {
      time: now,
      rate: this.#ended,
      p50: percentile(sorted, 0.5),
      p95: percentile(sorted, 0.95),
      p99: percentile(sorted, 0.99),
      inFlight: this.inFlight,
      delayMs: this.#readDelay(),
    };
    this.#ended = 0;
    this.samples.push(sample);
    if (this.samples.length > MAX_SAMPLES) this.samples.shift();
    this.sampled(sample);
  }

  /** The histogram has the time between two turns of its timer, so its own resolution is taken off. */
  #readDelay(): number {
    const longest = this.#delay.count === 0 ? 0 : this.#delay.max / 1e6 - RESOLUTION_MS;
    this.#delay.reset();
    return Math.max(0, Math.round(longest * 10) / 10);
  }
}

/** The nearest rank. */
export function percentile(sorted: readonly number[], share: number): number | undefined {
  if (sorted.length === 0) return undefined;
  return Math.round(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]! * 100) / 100;
}
