import { EventLoop } from "../../src/load-shed/event-loop.js";
import { Limiter } from "../../src/load-shed/limiter.js";

export interface Load {
  /** Requests per second, as a function of the time. */
  readonly perSecond: (nowMs: number) => number;
  readonly durationMs: number;
  /** CPU time of a request: before anything is awaited, and after. */
  readonly syncMs?: number;
  readonly afterMs?: number;
  /** What it waits for in between. Undefined: nothing. */
  readonly awaitMs?: (random: () => number) => number;
  /** CPU time of the server for each request, refused ones too. */
  readonly overheadMs?: number;
  /** Work of others that holds the event loop up: when, and for how long. */
  readonly pauses?: readonly (readonly [atMs: number, ms: number])[];
  readonly countFromMs?: number;
  readonly limiter?: Partial<ConstructorParameters<typeof Limiter>[0]> | "none";
}

export interface Result {
  /** Milliseconds from arrival to answer of each request that was served and counts. */
  readonly latencies: number[];
  readonly offered: number;
  refused: number;
  readonly limits: number[];
}

/** The part of the offered requests that had an answer within so many milliseconds, per second. */
export function goodput({ latencies }: Result, seconds: number, withinMs = 200): number {
  return latencies.filter((ms) => ms <= withinMs).length / seconds;
}

/**
 * Node's event loop in virtual time: the timers that are due, then all requests that have arrived, then the end of the turn.
 * With the real limiter, so that its behaviour under load can be tested without a machine's noise.
 */
export function simulate(load: Load): Result {
  const random = generator(7);
  const { syncMs = 0, afterMs = 0, awaitMs, overheadMs = 0.15, durationMs, countFromMs = 0 } = load;
  let nowMs = 0;
  let idleMs = 0;
  let turns = 0;
  let ends: (() => void)[] = [];
  const loop = new EventLoop(
    (at) => ({ nowMs: at, idleMs, turns }),
    (end, one) => ends.push(() => end(one)),
  );
  const plan = { limit: "adaptive", minLimit: 10, maxLimit: 1_000, initial: 20 } as const;
  const limiter =
    load.limiter === "none" ? undefined : new Limiter({ ...plan, ...(load.limiter as object) }, loop);
  const result: Result = { latencies: [], offered: 0, refused: 0, limits: [] };
  const timers: { atMs: number; run: () => void }[] = [];
  const pauses = [...(load.pauses ?? [])];
  let arrivalMs = 0;
  const advance = () => {
    arrivalMs += -Math.log(1 - random()) * (1_000 / load.perSecond(arrivalMs));
  };
  advance();

  const serve = (arrivedMs: number) => {
    nowMs += overheadMs;
    const counts = arrivedMs >= countFromMs;
    if (counts) (result as { offered: number }).offered++;
    const startedMs = nowMs;
    const waitedMs = limiter?.arrive(nowMs) ?? (limiter === undefined ? 0 : undefined);
    if (waitedMs === undefined || limiter?.isFull) {
      if (counts) result.refused++;
      return;
    }
    const inFlight = limiter === undefined ? 0 : limiter.take();
    nowMs += syncMs;
    const finish = () => {
      nowMs += afterMs;
      limiter?.answered(nowMs, nowMs - startedMs + waitedMs, inFlight);
      if (limiter !== undefined) {
        limiter.inFlight--;
        result.limits.push(limiter.limit);
      }
      if (counts) result.latencies.push(nowMs - arrivedMs);
    };
    if (awaitMs === undefined) finish();
    else timers.push({ atMs: nowMs + awaitMs(random), run: finish });
  };

  while (nowMs < durationMs) {
    turns++;
    timers.sort((a, b) => a.atMs - b.atMs);
    const due = timers.filter(({ atMs }) => atMs <= nowMs);
    timers.splice(0, due.length);
    for (const { run } of due) run();
    const next = Math.min(arrivalMs, timers[0]?.atMs ?? Number.POSITIVE_INFINITY, pauses[0]?.[0] ?? Infinity);
    if (next > nowMs) {
      idleMs += next - nowMs;
      nowMs = next;
    }
    const read: number[] = [];
    while (arrivalMs <= nowMs) {
      read.push(arrivalMs);
      advance();
    }
    if (pauses.length > 0 && pauses[0]![0] <= nowMs) nowMs += pauses.shift()![1];
    for (const arrivedMs of read) serve(arrivedMs);
    for (const end of ends.splice(0)) end();
  }
  ends = [];
  return result;
}

/** Numbers from 0 to 1 that are the same in each run. */
function generator(seed: number): () => number {
  let x = seed;
  return () => {
    x = (x * 48_271) % 2_147_483_647;
    return x / 2_147_483_647;
  };
}
