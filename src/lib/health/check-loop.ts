import { whenSettled } from "../values/thrown.js";
import type { CheckPlan } from "./options.js";

/** The last known result of a check. */
export interface CheckResult {
  readonly passed: boolean;
  /** What it threw, or why it counts as failed. */
  readonly error?: unknown;
  /** When the run ended. */
  readonly at: Date;
  readonly durationMs: number;
}

/** The most runs of one check that have not settled. With so many, no other is started: each may hold a connection. */
const MAX_OPEN = 3;

/** Runs one check again and again, one run at a time, and keeps the last result. Its timers do not keep the process alive. */
export class CheckLoop {
  result: CheckResult | undefined;
  /** How many runs have not settled, including those that have timed out. */
  private open = 0;
  /** A run is due, and begins when one of those that have timed out settles. */
  private isDue = false;
  private isClosed = false;
  /** The timer of the next run, or of the limit of the run under way. */
  private timer: NodeJS.Timeout | undefined;
  private underWay: AbortController | undefined;

  /** @param onResult called after each run, with the result before it */
  constructor(
    readonly plan: CheckPlan,
    private readonly onResult: (loop: CheckLoop, previous: CheckResult | undefined) => void,
  ) {}

  run(): void {
    if (this.isClosed) return;
    this.isDue = this.open >= MAX_OPEN;
    if (this.isDue) return;
    const { check, timeoutMs } = this.plan;
    const controller = new AbortController();
    const begun = performance.now();
    this.underWay = controller;
    this.open++;
    this.timer = setTimeout(() => {
      const error = new DOMException(`no result within ${timeoutMs} ms`, "TimeoutError");
      this.end(controller, begun, { passed: false, error });
      controller.abort(error);
    }, timeoutMs).unref();
    const settle = (outcome: Outcome) => {
      this.open--;
      this.end(controller, begun, outcome);
      if (this.isDue) this.run();
    };
    whenSettled(
      () => check(controller.signal),
      (value) => settle(value === false ? GAVE_FALSE : PASSED),
      (error) => settle({ passed: false, error }),
    );
  }

  /** Aborts the run under way, and starts no other. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearTimeout(this.timer);
    this.underWay?.abort(new DOMException("the health checks were closed", "AbortError"));
  }

  /** Ends the run under way, and plans the next. A run that has timed out is no longer under way: its result is ignored. */
  private end(controller: AbortController, begun: number, outcome: Outcome): void {
    if (this.isClosed || this.underWay !== controller) return;
    this.underWay = undefined;
    clearTimeout(this.timer);
    const previous = this.result;
    this.result = { ...outcome, at: new Date(), durationMs: performance.now() - begun };
    this.timer = setTimeout(() => this.run(), this.plan.everyMs).unref();
    this.onResult(this, previous);
  }
}

type Outcome = Pick<CheckResult, "passed" | "error">;
const PASSED: Outcome = { passed: true };
const GAVE_FALSE: Outcome = { passed: false, error: new Error("the check gave false") };
