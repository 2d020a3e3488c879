import type { Logger } from "../../config/logger.js";
import { describeThrown } from "../../http/thrown.js";

/** So many failures in a row open the circuit; one time-out does, for the next would cost as much again. */
const FAILURES = 3;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** A failure that does not open the circuit is told at most once in this time. */
const QUIET_MS = 60_000;

/** What was asked for was not done: it failed, took too long, or was not tried. */
export const FAILED: unique symbol = Symbol("failed");

class TimeoutError extends Error {
  override readonly name = "TimeoutError";
}

/**
 * Bounds each operation in time, and asks nobody while the store is known to be down: after a pause, which doubles as
 * long as it stays down, one operation is let through to see. One warning when it opens, one line when it closes.
 */
export class Circuit {
  readonly #timeoutMs: number;
  readonly #logger: Logger;
  #failures = 0;
  #pauseMs = 0;
  #openUntil = 0;
  #probing = false;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(timeoutMs: number, logger: Logger) {
    this.#timeoutMs = timeoutMs;
    this.#logger = logger;
  }

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
      const result = await within(this.#timeoutMs, operation);
      this.#succeeded(isProbe);
      return result;
    } catch (error) {
      this.#failed(error, isProbe);
      return FAILED;
    }
  }

  #succeeded(isProbe: boolean): void {
    if (!isProbe) {
      if (this.#pauseMs === 0) this.#failures = 0; // else it was sent before the circuit opened, and says nothing
      return;
    }
    this.#probing = false;
    this.#failures = 0;
    this.#pauseMs = 0;
    this.#logger.info({}, "cache: the Redis store answers again");
  }

  #failed(error: unknown, isProbe: boolean): void {
    if (isProbe) {
      this.#probing = false;
      this.#pause(Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS));
      return;
    }
    if (this.#pauseMs > 0) return; // sent before the circuit opened
    this.#failures = error instanceof TimeoutError ? FAILURES : this.#failures + 1;
    const { type, message } = describeThrown(error);
    const told = { error: { type, message } };
    if (this.#failures >= FAILURES) {
      this.#pause(FIRST_PAUSE_MS);
      this.#logger.warn(told, "cache: the Redis store does not answer; nothing is cached until it does");
    } else if (performance.now() - this.#toldAt >= QUIET_MS) {
      this.#toldAt = performance.now();
      this.#logger.warn(told, "cache: the Redis store refused an operation");
    }
  }

  #pause(pauseMs: number): void {
    this.#pauseMs = pauseMs;
    this.#openUntil = performance.now() + pauseMs;
  }
}

function within<T>(ms: number, operation: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TimeoutError(`no answer within ${ms} ms`)), ms).unref();
    const settled = () => clearTimeout(timer);
    // A client may throw, where it should reject.
    const result = new Promise<T>((begin) => begin(operation()));
    result.then(resolve, reject);
    result.then(settled, settled);
  });
}
