import { AsyncResource } from "node:async_hooks";

/**
 * How a fill has ended for those who wait for it: there is an answer; it is not for everybody; it is another variant;
 * the handlers have failed; it was broken off; it takes too long.
 */
export type Landing = "stored" | "apart" | "variant" | "failed" | "lost" | "late";

interface Waiter {
  /** What the waiter would get under the answer's fields of Vary. */
  readonly variantOf: (fields: string) => string;
  readonly resume: (landing: Landing) => void;
}

/** A request that fills the cache, and those who wait for its answer. */
export class Flight {
  private readonly waiters = new Set<Waiter>();
  private landed = false;

  /** @param place where in `flights` those who want the same answer find it */
  constructor(
    private readonly flights: Map<string, Flight>,
    private place: string,
  ) {
    flights.set(place, this);
  }

  /** At most `ms`: one slow handler must not hold back all who ask for its page. */
  wait(ms: number, variantOf: Waiter["variantOf"], then: Waiter["resume"]): void {
    // In the waiter's own asynchronous context: the one that fetches belongs to somebody else.
    const resume = AsyncResource.bind(then);
    const timer = setTimeout(() => land("late"), ms);
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
    this.leave();
    this.place = place;
    this.flights.set(place, this);
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
