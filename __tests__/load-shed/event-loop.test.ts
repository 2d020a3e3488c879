import { EventLoop, eventLoop, type LoopTimes } from "../../src/load-shed/event-loop.js";

/** A loop whose clock the test holds. */
function clocked() {
  const times = { idleMs: 0, turns: 0 };
  let end = () => {};
  const loop = new EventLoop(
    (nowMs): LoopTimes => ({ nowMs, ...times }),
    (close, one) => {
      end = () => close(one);
    },
  );
  let nowMs = 0;
  return {
    loop,
    /** A turn that begins now, with requests of so many milliseconds; returns how long each had waited, or "spent". */
    turn(costs: readonly number[]): (number | "spent")[] {
      times.turns++;
      const waits = costs.map((ms) => {
        const waitedMs = loop.arrive(nowMs);
        if (loop.isSpent(nowMs)) return "spent";
        loop.served();
        nowMs += ms;
        loop.answered();
        return waitedMs;
      });
      end();
      return waits;
    },
    idle(ms: number) {
      nowMs += ms;
      times.idleMs += ms;
    },
    /** Turns without requests. */
    others(count: number, ms: number) {
      nowMs += ms;
      times.turns += count;
    },
    overloaded: () => loop.isOverloaded(nowMs),
  };
}

it("a request has waited for those before it in this turn, and for half of the turn before", () => {
  const { turn, idle } = clocked();
  expect(turn([4, 4, 4])).toEqual([0, 4, 8]);
  expect(turn([4, 4])).toEqual([6, 10]);
  idle(100);
  expect(turn([4])).toEqual([4]); // 8 ms of work, and then the loop waited
});

it("a long turn with many requests is no overload, and the next is neither if it is short", () => {
  const { turn, idle, overloaded } = clocked();
  expect(turn([300, 1, 1, 1])).not.toContain("spent");
  expect(overloaded()).toBe(false);
  turn([1]);
  idle(1_000);
  expect(turn([1, 1])).not.toContain("spent");
  expect(overloaded()).toBe(false);
});

it("turns that stay long are an overload: from then on each takes 50 ms, and refuses the rest", () => {
  const { turn, overloaded } = clocked();
  const many = Array.from({ length: 40 }, () => 4);
  turn(many);
  const waits = turn(many);
  expect(overloaded()).toBe(true);
  expect(waits.filter((one) => one !== "spent").length).toBeLessThan(15);
  expect(turn(many).filter((one) => one !== "spent")).toHaveLength(13);
});

it("a few requests of a turn are always served: what keeps the loop may be other work, as in a test", () => {
  const { turn, overloaded } = clocked();
  for (let i = 0; i < 20; i++) expect(turn([200, 200, 200, 1])).not.toContain("spent");
  expect(overloaded()).toBe(true);
  expect(turn([200, 200, 200, 1, 1]).at(-1)).toBe("spent");
});

it("an overload ends with the first request that had a short wait", () => {
  const { turn, idle, overloaded } = clocked();
  const many = Array.from({ length: 40 }, () => 4);
  for (let i = 0; i < 5; i++) turn(many);
  expect(overloaded()).toBe(true);
  idle(1_000);
  turn([4]); // the turn before it was long
  idle(10);
  turn([4]);
  expect(overloaded()).toBe(false);
  expect(turn([4, 4])).not.toContain("spent");
});

it("some requests of a turn are always served, however slow they are", () => {
  const { turn } = clocked();
  for (let i = 0; i < 10; i++) turn([200, 200, 200, 200]);
  expect(turn([200, 200, 200, 200]).slice(0, 4)).not.toContain("spent");
  expect(turn(Array.from({ length: 12 }, () => 200))).toContain("spent");
});

it("what others do between two requests counts by turns: many short ones are no wait", () => {
  const { turn, others } = clocked();
  turn([1]);
  others(5_000, 5_000); // a program that keeps the loop turning
  expect(Number(turn([1])[0])).toBeLessThan(1);
  others(1, 80);
  expect(turn([1])[0]).toBe(81 / 2 / 2);
});

it("in a process, a request that came while the loop was blocked has waited, and one that came while it was idle has not", async () => {
  const loop = eventLoop();
  const turnsOf = () => loop.turn;
  const before = turnsOf();
  loop.arrive(performance.now());
  loop.arrive(performance.now());
  expect(turnsOf()).toBe(before + 1);
  const untilMs = performance.now() + 60;
  while (performance.now() < untilMs);
  await new Promise(setImmediate);
  await new Promise((resolve) => setTimeout(resolve, 1));
  loop.arrive(performance.now());
  expect(turnsOf()).toBe(before + 2);
  expect(loop.delayMs).toBeGreaterThan(10);
  await new Promise((resolve) => setTimeout(resolve, 200));
  loop.arrive(performance.now());
  const busyMs = loop.delayMs;
  expect(busyMs).toBeLessThan(190);
});
