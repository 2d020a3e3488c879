import type { IntervalHistogram } from "node:perf_hooks";

const RESOLUTION_MS = 10;
const WINDOW_MS = 1_000;

/** The mean delay of the event loop, by the histogram of `perf_hooks`. The first `read` after a second renews it. */
export class LoopDelay {
  private histogram: IntervalHistogram | undefined = undefined;
  private sinceMs = 0;
  private meanMs = 0;

  /** The first call starts the histogram. Its timer does not keep the process alive. */
  read(nowMs: number): number {
    if (this.histogram === undefined) {
      const { monitorEventLoopDelay } = process.getBuiltinModule("node:perf_hooks");
      this.histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      this.histogram.enable();
      this.sinceMs = nowMs;
    } else if (nowMs - this.sinceMs >= WINDOW_MS) {
      // It contains the time between two runs of a timer, not only the delay. It is NaN while the timer has not run.
      const meanMs = this.histogram.mean / 1e6 - RESOLUTION_MS;
      this.meanMs = meanMs > 0 ? meanMs : 0;
      this.histogram.reset();
      this.sinceMs = nowMs;
    }
    return this.meanMs;
  }
}
