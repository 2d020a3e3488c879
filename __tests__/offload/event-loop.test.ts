import { monitorEventLoopDelay } from "node:perf_hooks";
import { offload } from "../../src/offload/index.js";
import { fixture, worker } from "./support.js";

const MEASURED_MS = 500;

it("the event loop answers within 50 ms (p99) while every thread is busy", async () => {
  const fibonacci = offload<number, number>(fixture("fibonacci.mjs"), { maxQueue: 1_000 });
  expect(await fibonacci(10)).toBe(55);
  const busyDelayMs = async () => {
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const started = performance.now();
    let done = 0;
    while (performance.now() - started < MEASURED_MS) {
      await Promise.all(Array.from({ length: 8 }, () => fibonacci(27)));
      done += 8;
    }
    delay.disable();
    expect(done).toBeGreaterThan(0);
    return delay.percentile(99) / 1e6;
  };
  let delayMs = await busyDelayMs();
  // On a busy machine another process may have held up the loop.
  for (let i = 0; i < 5 && delayMs >= 50; i++) delayMs = await busyDelayMs();
  expect(delayMs).toBeLessThan(50);
});

it("the same work on the event loop blocks it, so the measurement can fail", async () => {
  const fib = (n: number): number => (n < 2 ? n : fib(n - 1) + fib(n - 2));
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  for (let i = 0; i < 3; i++) {
    const started = performance.now();
    while (performance.now() - started < 80) fib(20);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  delay.disable();
  expect(delay.percentile(99) / 1e6).toBeGreaterThan(50);
});

it("timers keep their time during a loop without end", async () => {
  const client = new AbortController();
  const forever = worker({ threads: 1 })({ do: "forever" }, { signal: client.signal }).catch(() => {});
  let quickestMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const started = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 30));
    quickestMs = Math.min(quickestMs, performance.now() - started);
  }
  expect(quickestMs).toBeLessThan(200);
  client.abort();
  await forever;
});
