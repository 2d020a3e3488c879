import { AsyncResource } from "node:async_hooks";

/** How long a request waits for the answer that another one is fetching, and how long a fetch is waited for. */
const LOCK_MS = 5_000;

/**
 * How a fill has ended for those who wait for it: there is an answer; it is not for everybody; it is another variant;
 * the handlers have failed; it was broken off; its client holds it up; it takes too long for anybody; it takes too long
 * for this one.
 */
export type Landing = "stored" | "apart" | "variant" | "failed" | "lost" | "held" | "old" | "late";

/** Until when a request that begins to wait now may wait (by `performance.now()`). */
export function waitUntil(): number {
  return performance.now() + LOCK_MS;
}

interface Waiter {
  /** What the waiter would get under the answer's fields of Vary. */
  readonly variantOf: (fields: string) => string;
  readonly resume: (landing: Landing) => void;
}

/** A request that fills the cache, and those who wait for its answer. */
export class Flight {
  private readonly waiters = new Set<Waiter>();
  private landed = false;
  private readonly waitedForUntil = waitUntil();
  private hadItsTime = false;

  /** @param place where in `flights` those who want the same answer find it */
  constructor(
    private readonly flights: Map<string, Flight>,
    private place: string,
  ) {
    flights.set(place, this);
  }

  /** It has had its time: the next request that misses takes its place. */
  get isOld(): boolean {
    return this.hadItsTime || performance.now() >= this.waitedForUntil;
  }

  /** One slow handler, or one client that does not read, must not hold back all who ask for the page. */
  wait(until: number, variantOf: Waiter["variantOf"], then: Waiter["resume"]): void {
    const isItsTime = this.waitedForUntil <= until;
    const ms = Math.max(0, Math.ceil((isItsTime ? this.waitedForUntil : until) - performance.now()));
    // In the waiter's own asynchronous context: the one that fetches belongs to somebody else.
    const resume = AsyncResource.bind(then);
    const timer = setTimeout(() => {
      this.hadItsTime ||= isItsTime;
      land(isItsTime ? "old" : "late");
    }, ms);
    timer.unref();
    const waiter = { variantOf, resume: (landing: Landing) => land(landing) };
    const land = (landing: Landing) => {
      clearTimeout(timer);
      if (this.waiters.delete(waiter)) resume(landing);
    };
    this.waiters.add(waiter);
  }

  /** The answer has begun: those who would get another variant of it need not wait, and others find it elsewhere. */
  release(place: string, fields: string, variant: string): void {
    if (this.landed) return;
    if (this.flights.get(this.place) === this) {
      this.leave();
      this.place = place;
      this.flights.set(place, this);
    }
    for (const waiter of [...this.waiters]) {
      if (waiter.variantOf(fields) !== variant) waiter.resume("variant");
    }
  }

  /** The first one counts: those who come later have another flight to wait for. */
  land(landing: Landing): void {
    if (this.landed) return;
    this.landed = true;
    this.leave();
    for (const waiter of [...this.waiters]) waiter.resume(landing);
  }

  private leave(): void {
    if (this.flights.get(this.place) === this) this.flights.delete(this.place);
  }
}
