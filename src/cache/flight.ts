import { AsyncResource } from "node:async_hooks";

/** How long a request waits for the fetches of others, and how long others wait for one fetch. */
const LOCK_MS = 5_000;

/**
 * The result of a fetch for a request that waits for it.
 *
 * - `stored`: the answer is in the store
 * - `apart`: the answer cannot be shared
 * - `variant`: the answer is another variant
 * - `failed`: the handlers failed, and a stale answer was sent
 * - `lost`: it ended without a whole answer, for example because its client left
 * - `held`: its client does not read
 * - `old`: it takes longer than any fetch is waited for
 * - `late`: it takes longer than this request waits
 */
export type Landing = "stored" | "apart" | "variant" | "failed" | "lost" | "held" | "old" | "late";

/** When the wait of a request that starts to wait now must end (by `performance.now()`). */
export function waitUntil(): number {
  return performance.now() + LOCK_MS;
}

interface Waiter {
  /** The variant of the waiting request under the answer's Vary fields. */
  readonly variantOf: (fields: string) => string;
  readonly resume: (landing: Landing) => void;
}

/** A fetch that other requests for the same answer wait for. */
export class Flight {
  private readonly waiters = new Set<Waiter>();
  private landed = false;
  private readonly waitedForUntil = waitUntil();
  private hadItsTime = false;

  /** @param place the key in `flights`, equal for requests that want the same answer */
  constructor(
    private readonly flights: Map<string, Flight>,
    private place: string,
  ) {
    flights.set(place, this);
  }

  /** It takes too long: the next miss starts a fetch of its own. */
  get isOld(): boolean {
    return this.hadItsTime || performance.now() >= this.waitedForUntil;
  }

  /** Calls `then` with the result, or when the time is over: a slow handler must not delay all requests. */
  wait(until: number, variantOf: Waiter["variantOf"], then: Waiter["resume"]): void {
    const isItsTime = this.waitedForUntil <= until;
    const ms = Math.max(0, Math.ceil((isItsTime ? this.waitedForUntil : until) - performance.now()));
    // Binds the waiting request's own asynchronous context: the fetch runs in that of another request.
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

  /** The head has come: resumes requests that need another variant, and moves to the key of this variant. */
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

  /** Ends the wait of all. Only the first result counts. */
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
