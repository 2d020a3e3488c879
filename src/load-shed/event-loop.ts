import { QUEUE_ALLOWANCE } from "./gradient.js";

/** How long the requests of one turn may keep the event loop, if they are more than a few. */
const BUDGET_MS = 50;
/** The time per answer is averaged over about 20 turns. */
const COST_FACTOR = 0.1;

/** What libuv knows of its loop. */
export interface LoopTimes {
  readonly nowMs: number;
  /** For how long the loop has waited for events, since its start. */
  readonly idleMs: number;
  /** How many turns the loop has made. */
  readonly turns: number;
}

/**
 * How long requests wait for the event loop before any middleware can see them.
 *
 * The requests that arrive during a turn of the loop are read one after another in the next turn. A synchronous handler runs
 * before the next request is read, so that there is never more than one request in flight, however many wait. What can be
 * known is the length of the turn in which a request arrived, and the time since the first request of the turn that reads it.
 *
 * An overload is a wait that has not been short for a while, as in CoDel (RFC 8289): one long turn is none.
 */
export class EventLoop {
  /** Counts the turns with requests. */
  turn = 0;
  /** The mean length of the turns since the last one with requests, without the waits for events. */
  delayMs = 0;
  /** Since when no request with a short wait was served. */
  private slowSinceMs: number | undefined = undefined;
  /** Whether the newest request may have had a long wait. */
  private isSlow = false;
  private isOpen = false;
  private startedMs = 0;
  private last: LoopTimes | undefined = undefined;
  private answers = 0;
  /** How many requests of this turn are served. */
  private taken = 0;
  /** The length of a turn divided by its answers. */
  private costMs = 0;

  constructor(
    private readonly times: (nowMs: number) => LoopTimes = readTimes,
    private readonly atEndOfTurn: (end: (loop: EventLoop) => void, loop: EventLoop) => void = setImmediate,
  ) {}

  /** To be called for each request. Returns how long it has waited: a mean value, because its time of arrival is not known. */
  arrive(nowMs: number): number {
    if (!this.isOpen) this.open(nowMs);
    const inTurnMs = nowMs - this.startedMs;
    this.isSlow = this.delayMs + inTurnMs > this.budgetMs / 2;
    if (this.isSlow) this.slowSinceMs ??= nowMs;
    return inTurnMs + this.delayMs / 2;
  }

  /** To be called if the newest request is served. */
  served(): void {
    this.taken++;
    if (!this.isSlow) this.slowSinceMs = undefined;
  }

  /** To be called for each answer of a handler. */
  answered(): void {
    this.answers++;
  }

  isOverloaded(nowMs: number): boolean {
    return this.slowSinceMs !== undefined && nowMs - this.slowSinceMs >= 2 * this.budgetMs;
  }

  /**
   * Whether, in an overload, the requests that were served in this turn have used up its budget. A few are always served:
   * other work may have kept the loop, and refusing them would not help.
   */
  isSpent(nowMs: number): boolean {
    if (this.taken < QUEUE_ALLOWANCE) return false;
    const { budgetMs } = this;
    const isSpent = nowMs - this.startedMs > budgetMs || this.taken * this.costMs >= budgetMs;
    return isSpent && this.isOverloaded(nowMs);
  }

  /** By how many answers the last turn exceeded its budget. */
  excess(): number {
    return this.costMs > 0 ? Math.max(0, (this.delayMs - this.budgetMs) / this.costMs) : 0;
  }

  /** The budget of a turn: it always has room for a few answers, however slow they are. */
  private get budgetMs(): number {
    return Math.max(BUDGET_MS, QUEUE_ALLOWANCE * this.costMs);
  }

  private open(nowMs: number): void {
    const last = this.last;
    const times = this.times(nowMs);
    if (last !== undefined) {
      const busyMs = nowMs - last.nowMs - (times.idleMs - last.idleMs);
      this.delayMs = Math.max(0, busyMs / Math.max(1, times.turns - last.turns));
    }
    if (this.answers > 0) {
      const costMs = this.delayMs / this.answers;
      this.costMs = this.costMs === 0 ? costMs : this.costMs + COST_FACTOR * (costMs - this.costMs);
    }
    this.last = times;
    this.answers = 0;
    this.taken = 0;
    this.startedMs = nowMs;
    this.turn++;
    this.isOpen = true;
    this.atEndOfTurn(close, this);
  }

  /** Ends the turn. */
  close(): void {
    this.isOpen = false;
  }
}

function close(loop: EventLoop): void {
  loop.close();
}

interface UvMetrics {
  readonly uvMetricsInfo?: { readonly loopCount: number };
}

function readTimes(nowMs: number): LoopTimes {
  const { nodeTiming } = performance;
  const { uvMetricsInfo } = nodeTiming as UvMetrics;
  return { nowMs, idleMs: nodeTiming.idleTime, turns: uvMetricsInfo?.loopCount ?? 0 };
}

let shared: EventLoop | undefined;

/** One for this thread: each `loadShed` of it uses the same. */
export function eventLoop(): EventLoop {
  return (shared ??= new EventLoop());
}
