import { oneIn } from "../support/soak.js";
import { goodput, type Load, type Result, simulate } from "./simulation.js";

const OVERHEAD_MS = 0.15;
const SECONDS = 20;

/** The part of the capacity that had an answer within the time, at so many times the capacity. */
function useful(times: number, cpuMs: number, load: Partial<Load>, withinMs = 200): number {
  const capacity = 1_000 / (cpuMs + OVERHEAD_MS);
  const result = simulate({
    durationMs: (SECONDS + 3) * 1_000,
    countFromMs: 3_000,
    perSecond: () => capacity * times,
    overheadMs: OVERHEAD_MS,
    ...load,
  });
  return goodput(result, SECONDS, withinMs) / capacity;
}

const kinds: [string, number, Partial<Load>, number][] = [
  ["4 ms of CPU at once", 4, { syncMs: 4 }, 200],
  ["20 ms of CPU at once", 20, { syncMs: 20 }, 250],
  ["4 ms of CPU after 5 ms", 4, { awaitMs: () => 5, afterMs: 4 }, 200],
  ["4 ms of CPU after 100 ms", 4, { awaitMs: () => 100, afterMs: 4 }, 250],
  ["2 ms of CPU, 20 ms, 2 ms of CPU", 4, { syncMs: 2, awaitMs: () => 20, afterMs: 2 }, 200],
];

describe.each(oneIn(2, kinds))("%s", (_name, cpuMs, load, withinMs) => {
  it.each(oneIn(2, [1, 2, 3]))("at %i times the capacity at least 0.8 of it is answered in time", (times) => {
    expect(useful(times, cpuMs, load, withinMs)).toBeGreaterThan(0.8);
  });

  it("at half of the capacity everybody is answered", () => {
    const result = simulate({
      durationMs: 30_000,
      perSecond: () => 500 / (cpuMs + OVERHEAD_MS),
      overheadMs: OVERHEAD_MS,
      ...load,
    });
    expect(result.refused / result.offered).toBeLessThan(0.001);
  });

  it("without a limit, nobody is answered in time at twice the capacity", () => {
    expect(useful(2, cpuMs, { ...load, limiter: "none" }, withinMs)).toBeLessThan(0.2);
  });
});

it("routes of 5 ms and of 500 ms in one app are no overload", () => {
  const mixed = (random: () => number) => (random() < 0.3 ? 500 : 5);
  const result = simulate({
    durationMs: 60_000,
    countFromMs: 15_000,
    perSecond: () => 500,
    afterMs: 0.5,
    awaitMs: mixed,
    overheadMs: OVERHEAD_MS,
  });
  expect(result.refused / result.offered).toBeLessThan(0.01);
});

it("many requests in flight that only wait are no overload: the limit grows to what is needed", () => {
  const result = simulate({
    durationMs: 60_000,
    countFromMs: 20_000,
    perSecond: () => 300,
    awaitMs: () => 500,
    afterMs: 0.1,
    overheadMs: OVERHEAD_MS,
  });
  expect(result.refused).toBe(0);
  expect(result.limits.at(-1)).toBeGreaterThan(150);
});

describe("one long pause of the event loop", () => {
  const paused = (ms: number): Result =>
    simulate({
      durationMs: 20_000,
      perSecond: () => 100,
      syncMs: 2,
      overheadMs: OVERHEAD_MS,
      pauses: [
        [5_000, ms],
        [9_000, ms],
        [13_000, ms],
      ],
    });

  it.each(oneIn(2, [100, 300, 1_000]))("of %i ms makes it refuse nobody", (ms) => {
    expect(paused(ms).refused).toBe(0);
  });
});

it("a burst of three times the capacity is refused in part, and after it nobody is", () => {
  const result = simulate({
    durationMs: 20_000,
    countFromMs: 10_200,
    perSecond: (nowMs) => (nowMs > 5_000 && nowMs < 10_000 ? 720 : 100),
    awaitMs: () => 50,
    afterMs: 4,
    overheadMs: OVERHEAD_MS,
  });
  expect(result.refused).toBe(0);
  expect(Math.max(...result.latencies)).toBeLessThan(200);
});

it("a service behind the app that becomes slow lowers the limit", () => {
  let nowMs = 0;
  const result = simulate({
    durationMs: 30_000,
    perSecond: (at) => {
      nowMs = at;
      return 300;
    },
    awaitMs: () => (nowMs < 15_000 ? 60 : 600),
    afterMs: 0.2,
    overheadMs: OVERHEAD_MS,
  });
  const before = Math.max(...result.limits.slice(0, 4_000));
  expect(Math.min(...result.limits.slice(4_500, 6_000))).toBeLessThan(before);
  expect(result.refused).toBeGreaterThan(0);
});
