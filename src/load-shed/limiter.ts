import type { EventLoop } from "./event-loop.js";
import { Gradient, SampleWindow } from "./gradient.js";

/** Why a request is refused: too many are in flight, the queue is full or took too long, or the event loop is late. */
export type LoadShedReason = "limit" | "queue" | "delay";

interface LimiterPlan {
  readonly limit: number | "adaptive";
  readonly minLimit: number;
  readonly maxLimit: number;
  readonly initial: number;
}

/** How many requests may be in flight, and how many are. It knows nothing of HTTP, and has no clock. */
export class Limiter {
  inFlight = 0;
  private readonly gradient: Gradient | undefined;
  private readonly fixed: number;
  private readonly window: SampleWindow | undefined;
  /** The turn of the event loop in which the limit was lowered last. */
  private loweredIn = 0;

  constructor(
    { limit, minLimit, maxLimit, initial }: LimiterPlan,
    private readonly loop: EventLoop,
  ) {
    this.gradient = limit === "adaptive" ? new Gradient(initial, minLimit, maxLimit) : undefined;
    this.window = this.gradient && new SampleWindow(this.gradient);
    this.fixed = limit === "adaptive" ? 0 : limit;
  }

  get limit(): number {
    return this.gradient === undefined ? this.fixed : Math.floor(this.gradient.limit);
  }

  get isFull(): boolean {
    return this.inFlight >= this.limit;
  }

  /** To be called for each request. Returns how long the event loop has kept it; undefined: refuse it. */
  arrive(nowMs: number): number | undefined {
    if (this.gradient === undefined) return 0;
    const loopWaitMs = this.loop.arrive(nowMs);
    return this.loop.isSpent(nowMs) ? undefined : loopWaitMs;
  }

  /** Takes a place for the newest request. Returns how many are taken. */
  take(): number {
    if (this.gradient !== undefined) this.loop.served();
    return ++this.inFlight;
  }

  /**
   * A head is about to be written.
   *
   * @param latencyMs the time since it got its place, and its wait for the event loop before
   * @param inFlight the requests in flight when it got its place; undefined if its latency is no sample
   */
  answered(nowMs: number, latencyMs: number, inFlight: number | undefined): void {
    const { gradient, loop } = this;
    if (gradient === undefined) return;
    loop.answered();
    if (inFlight === undefined) return;
    const isOverloaded = loop.isOverloaded(nowMs);
    this.window!.add(latencyMs, inFlight, !isOverloaded);
    if (!isOverloaded || this.loweredIn === loop.turn || inFlight < gradient.limit / 2) return;
    this.loweredIn = loop.turn;
    gradient.lower(loop.excess() / 2);
  }
}
