/** Where a request's time goes: the code of a call on the way down, its waiting, its code on the way up. */
export interface Times {
  down: number;
  held: number;
  up: number;
}

export type Part = keyof Times;

interface Place {
  readonly times: Times;
  readonly part: Part;
}

/**
 * Divides the time of one request among its calls. At each moment it counts for one place: the innermost code that is
 * running for this request, or, if none is running, the place that holds the request. So the times add up to the total.
 */
export class Clock {
  readonly started: number;
  #last: number;
  readonly #running: Place[] = [];
  #holder: Place;

  constructor(
    root: Times,
    private readonly now: () => number,
  ) {
    this.started = this.#last = now();
    this.#holder = { times: root, part: "held" };
  }

  /** Milliseconds since the start, up to the last change. */
  get elapsed(): number {
    return this.#last - this.started;
  }

  /** Whose code is running, or has called what is running if that is `other`; undefined if none is. */
  running(other?: Times): Times | undefined {
    return this.#running.findLast(({ times }) => times !== other)?.times;
  }

  /** Who waiting counts for. */
  get holder(): Times {
    return this.#holder.times;
  }

  /** What runs from here counts for a place, until `leave` is called. */
  enter(times: Times, part: Part): void {
    this.count();
    this.#running.push({ times, part });
  }

  leave(): void {
    this.count();
    this.#running.pop();
  }

  /** The code that is running goes on in another part: it has called `next`, which has returned. */
  change(times: Times, part: Part): void {
    this.count();
    if (this.#running.at(-1)?.times === times) this.#running.splice(-1, 1, { times, part });
  }

  /** From here on, waiting counts for this place. */
  hold(times: Times, part: Part): void {
    this.count();
    this.#holder = { times, part };
  }

  /** Counts the time up to now. */
  count(): void {
    const now = this.now();
    const { times, part } = this.#running.at(-1) ?? this.#holder;
    times[part] += now - this.#last;
    this.#last = now;
  }
}
