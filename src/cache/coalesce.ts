import { AsyncResource } from "node:async_hooks";

/** How long a request waits for the fetches of others, and how long others wait for one fetch. */
const MAX_WAIT_MS = 5_000;

/**
 * The result of a fetch for a request that waits for it.
 *
 * - `stored`: the answer is in the store
 * - `hit-for-miss`: the answer cannot be shared
 * - `other-variant`: the answer is another variant
 * - `failed`: the handlers failed, and a stale answer was sent
 * - `aborted`: it ended without a whole answer, for example because its client left
 * - `blocked`: its client does not read
 * - `expired`: it takes too long, and no request waits for it any longer
 * - `timed-out`: this request has waited long enough; others may still wait
 */
export type FetchResult =
  | "stored"
  | "hit-for-miss"
  | "other-variant"
  | "failed"
  | "aborted"
  | "blocked"
  | "expired"
  | "timed-out";

/** When the wait of a request that starts to wait now must end (by `performance.now()`). */
export function waitUntil(): number {
  return performance.now() + MAX_WAIT_MS;
}

interface Waiter {
  /** The variant of the waiting request under the answer's Vary fields. */
  readonly variantOf: (fields: string) => string;
  readonly resume: (result: FetchResult) => void;
}

/** A fetch that other requests for the same answer wait for. */
export class SharedFetch {
  private readonly waiters = new Set<Waiter>();
  private isSettled = false;
  private readonly deadline = waitUntil();
  private isExpired = false;

  /** @param variantKey the key in `inFlight`, equal for requests that want the same answer */
  constructor(
    private readonly inFlight: Map<string, SharedFetch>,
    private variantKey: string,
  ) {
    inFlight.set(variantKey, this);
  }

  /** It takes too long: the next miss starts a fetch of its own. */
  get isOverdue(): boolean {
    return this.isExpired || performance.now() >= this.deadline;
  }

  /** Calls `then` with the result, or when the time is over: a slow handler must not delay all requests. */
  wait(until: number, variantOf: Waiter["variantOf"], then: Waiter["resume"]): void {
    const isFetchDeadline = this.deadline <= until;
    const ms = Math.max(0, Math.ceil((isFetchDeadline ? this.deadline : until) - performance.now()));
    // Binds the waiting request's own asynchronous context: the fetch runs in that of another request.
    const resume = AsyncResource.bind(then);
    const timer = setTimeout(() => {
      this.isExpired ||= isFetchDeadline;
      settle(isFetchDeadline ? "expired" : "timed-out");
    }, ms);
    timer.unref();
    const waiter = { variantOf, resume: (result: FetchResult) => settle(result) };
    const settle = (result: FetchResult) => {
      clearTimeout(timer);
      if (this.waiters.delete(waiter)) resume(result);
    };
    this.waiters.add(waiter);
  }

  /** The head has come: resumes requests that need another variant, and moves to the key of this variant. */
  headReceived(variantKey: string, fields: string, variant: string): void {
    if (this.isSettled) return;
    if (this.inFlight.get(this.variantKey) === this) {
      this.removeKey();
      this.variantKey = variantKey;
      this.inFlight.set(variantKey, this);
    }
    for (const waiter of [...this.waiters]) {
      if (waiter.variantOf(fields) !== variant) waiter.resume("other-variant");
    }
  }

  /** Resumes all requests that wait. Only the first result counts. */
  settle(result: FetchResult): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.removeKey();
    for (const waiter of [...this.waiters]) waiter.resume(result);
  }

  private removeKey(): void {
    if (this.inFlight.get(this.variantKey) === this) this.inFlight.delete(this.variantKey);
  }
}
