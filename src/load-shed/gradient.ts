const GRADIENT_MIN = 0.5;
const SMOOTHING = 0.2;
const TOLERANCE = 1.5;
/** How many requests may wait for one another. */
export const QUEUE_ALLOWANCE = 4;
const LONG_WINDOW = 600;
const WARM_UP = 10;
/** With fewer samples the limit is not changed. */
const MIN_SAMPLES = 10;

/** The mean of the first `warmUp` values, then an exponential average over about `window` values. */
export class Average {
  value = 0;
  private sum = 0;
  private count = 0;

  constructor(
    private readonly window: number,
    private readonly warmUp: number,
  ) {}

  add(sample: number): number {
    if (this.count < this.warmUp) {
      this.sum += sample;
      this.value = this.sum / ++this.count;
    } else {
      const factor = 2 / (this.window + 1);
      this.value = this.value * (1 - factor) + sample * factor;
    }
    return this.value;
  }
}

/**
 * A limit for requests in flight, found from their latency: Gradient2Limit of Netflix's concurrency-limits, with its
 * constants. Up to 1.5 times the long average of the latency, the limit grows. Above that, requests wait for one another
 * somewhere: the limit grows less, or shrinks.
 */
export class Gradient {
  /** Not a whole number: the steps are small. */
  limit: number;
  private readonly long = new Average(LONG_WINDOW, WARM_UP);

  constructor(
    initial: number,
    private readonly min: number,
    private readonly max: number,
  ) {
    this.limit = initial;
  }

  /**
   * @param latencyMs the mean time of some answers
   * @param inFlight the most requests that were in flight when one of them got its place
   * @param allowance by how much the limit grows, before smoothing, up to 1.5 times the average latency
   * @param mayGrow whether the limit may become higher
   */
  update(latencyMs: number, inFlight: number, allowance = QUEUE_ALLOWANCE, mayGrow = true): void {
    const { limit, min, max } = this;
    const longMs = this.long.add(latencyMs);
    // After a long overload the average is too high, and would take too long to come down by itself.
    if (longMs / latencyMs > 2) this.long.value *= 0.95;
    // The limit is not reached: the latency says nothing about it.
    if (inFlight < limit / 2) return;
    const gradient = Math.max(GRADIENT_MIN, Math.min(1, (TOLERANCE * longMs) / latencyMs));
    const growth = gradient === 1 ? allowance : QUEUE_ALLOWANCE;
    const wanted = limit * (1 - SMOOTHING) + (limit * gradient + growth) * SMOOTHING;
    const bounded = Math.max(min, Math.min(max, wanted));
    this.limit = mayGrow ? bounded : Math.min(limit, bounded);
  }

  /** Lowers the limit by so many requests, at most to its half. */
  lower(by: number): void {
    this.limit = Math.max(this.min, this.limit / 2, this.limit - by);
  }
}

/**
 * Collects at least ten samples, and as many as the limit, so that all requests in flight are among them: answers of slow
 * routes come in groups, and a group alone would look like an overload.
 */
export class SampleWindow {
  private sumMs = 0;
  private count = 0;
  private maxInFlight = 0;

  constructor(private readonly gradient: Gradient) {}

  add(latencyMs: number, inFlight: number, mayGrow: boolean): void {
    this.sumMs += latencyMs;
    this.count++;
    if (inFlight > this.maxInFlight) this.maxInFlight = inFlight;
    const count = this.count;
    if (count < MIN_SAMPLES || count < this.gradient.limit) return;
    this.gradient.update(
      this.sumMs / count,
      this.maxInFlight,
      (QUEUE_ALLOWANCE * count) / MIN_SAMPLES,
      mayGrow,
    );
    this.sumMs = 0;
    this.count = 0;
    this.maxInFlight = 0;
  }
}
