import { inspect } from "node:util";
import { type Health, type HealthChecks, health } from "../../src/health/index.js";
import { Monitor } from "../../src/lib/health/monitor.js";
import { memoryLogger } from "../support/logger.js";
import { answerOf } from "./support.js";

const made = new Set<Health>();
beforeEach(() => void jest.useFakeTimers());
afterEach(() => {
  for (const one of made) one.close();
  made.clear();
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

function start(checks: HealthChecks): Health {
  const handler = health({ checks, details: true });
  made.add(handler);
  return handler;
}

const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
const never = () => new Promise<never>(() => {});

/** A check whose runs end when the test says so. */
function manual() {
  const runs: { pass(value?: unknown): void; fail(error?: unknown): void; signal: AbortSignal }[] = [];
  const check = (signal: AbortSignal) =>
    new Promise<unknown>((resolve, reject) => runs.push({ pass: resolve, fail: reject, signal }));
  return { runs, check };
}

it("no check runs while the handler is made, so that it may use what is declared below", async () => {
  const check = jest.fn();
  const handler = start({ a: check });
  expect(check).not.toHaveBeenCalled();
  expect(answerOf(handler)).toMatchObject({ status: 503, body: { status: "fail" } });
  await pass(0);
  expect(check).toHaveBeenCalledTimes(1);
  expect(answerOf(handler)).toMatchObject({ status: 200, body: { status: "pass" } });
});

it("everyMs counts from the end of the last run", async () => {
  const { runs, check } = manual();
  start({ a: { check, everyMs: 1_000, timeoutMs: 60_000 } });
  await pass(30_000);
  expect(runs).toHaveLength(1);
  runs[0]!.pass();
  await pass(999);
  expect(runs).toHaveLength(1);
  await pass(1);
  expect(runs).toHaveLength(2);
});

it("by default a check runs every 5 s, and has 2 s", async () => {
  const { runs, check } = manual();
  const handler = start({ a: check });
  await pass(1_999);
  expect(runs[0]!.signal.aborted).toBe(false);
  await pass(1);
  expect(runs[0]!.signal.reason).toMatchObject({ name: "TimeoutError", message: "no result within 2000 ms" });
  expect(answerOf(handler).body.checks?.a).toMatchObject({
    status: "fail",
    error: "no result within 2000 ms",
    durationMs: 2_000,
  });
  await pass(4_999);
  expect(runs).toHaveLength(1);
  await pass(1);
  expect(runs).toHaveLength(2);
});

it("each check has its own rhythm, and a slow one delays no other", async () => {
  const quick = jest.fn();
  start({ slow: { check: never, timeoutMs: 100_000 }, quick: { check: quick, everyMs: 100 } });
  await pass(1_000);
  expect(quick).toHaveBeenCalledTimes(11);
});

it("the last result is the answer until the next run ends", async () => {
  const { runs, check } = manual();
  const handler = start({ a: { check, everyMs: 1_000 } });
  await pass(0);
  runs[0]!.pass();
  await pass(1_500);
  expect(runs).toHaveLength(2); // under way
  expect(answerOf(handler).status).toBe(200);
  runs[1]!.fail(new Error("down"));
  await pass(0);
  expect(answerOf(handler)).toMatchObject({ status: 503, body: { checks: { a: { error: "down" } } } });
  await pass(1_000);
  expect(answerOf(handler).status).toBe(503);
  runs[2]!.pass();
  await pass(0);
  expect(answerOf(handler).status).toBe(200);
});

it.each<[string, (run: ReturnType<typeof manual>["runs"][number]) => void]>([
  ["passes", (run) => run.pass()],
  ["fails", (run) => run.fail(new Error("late"))],
])("the result of a run that has timed out is ignored if it %s later", async (_how, settle) => {
  const { runs, check } = manual();
  const handler = start({ a: { check, timeoutMs: 10, everyMs: 1_000 } });
  await pass(10);
  const before = answerOf(handler).body;
  settle(runs[0]!);
  await pass(500);
  expect(answerOf(handler).body).toEqual(before);
  await pass(500);
  expect(runs).toHaveLength(2); // not earlier, and not twice
  runs[1]!.pass();
  await pass(0);
  expect(answerOf(handler).body.status).toBe("pass");
});

it("with three runs open none is started until one settles", async () => {
  const { runs, check } = manual();
  const handler = start({ a: { check, timeoutMs: 10, everyMs: 10 } });
  await pass(100_000);
  expect(runs).toHaveLength(3);
  expect(runs.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
  expect(answerOf(handler).status).toBe(503);
  runs[1]!.fail(new Error("at last"));
  await pass(0);
  expect(runs).toHaveLength(4);
  await pass(100_000);
  expect(runs).toHaveLength(4);
  runs[0]!.pass();
  await pass(0);
  runs[4]!.pass();
  await pass(0);
  expect(answerOf(handler).status).toBe(200);
});

it("a run that has timed out and settles at its abort leaves its place at once", async () => {
  let runs = 0;
  const check = (signal: AbortSignal) =>
    new Promise((_resolve, reject) => {
      runs++;
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  start({ a: { check, timeoutMs: 10, everyMs: 10 } });
  await pass(1_000);
  expect(runs).toBe(51);
});

const thrower = (value: unknown) => () => {
  throw value;
};
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

it.each<[string, () => unknown, string | undefined]>([
  ["gives nothing", () => undefined, undefined],
  ["gives true", () => true, undefined],
  ["gives 0", () => 0, undefined],
  ["gives an object", () => ({ status: "down" }), undefined],
  ["is fulfilled", async () => "PONG", undefined],
  ["gives false", () => false, "the check gave false"],
  ["is fulfilled with false", async () => false, "the check gave false"],
  ["throws an Error", thrower(new Error("no such host")), "no such host"],
  ["rejects with an Error", async () => Promise.reject(new Error("no such host")), "no such host"],
  ["rejects with nothing", () => Promise.reject(), "undefined"],
  ["rejects with null", () => Promise.reject(null), "null"],
  ["throws a string", thrower("down"), "down"],
  ["rejects with a number", () => Promise.reject(3), "3"],
  ["throws a Proxy that cannot be read", thrower(revoked()), "a value that is not an Error was thrown"],
  ["throws what cannot become text", thrower(Object.create(null)), "a value that is not an Error was thrown"],
  ["throws a message of two lines", thrower(new Error("one\ntwo\u001b[31m")), "one\\ntwo\\u001b[31m"],
  [
    "fails without a message, as Node's connections do",
    thrower(Object.assign(new AggregateError([], ""), { code: "ECONNREFUSED" })),
    "AggregateError (ECONNREFUSED)",
  ],
  [
    "fails as fetch does",
    thrower(new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "ENOTFOUND" }) })),
    "fetch failed (ENOTFOUND)",
  ],
  [
    "gives a thenable that throws",
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: such things exist
      get then() {
        throw new Error("no then");
      },
    }),
    "no then",
  ],
  [
    "gives a thenable that settles twice",
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: such things exist
      then(done: () => void, failed: (error: Error) => void) {
        done();
        failed(new Error("second"));
        done();
      },
    }),
    undefined,
  ],
])("a check that %s", async (_what, check, error) => {
  const handler = start({ a: { check, everyMs: 1_000 } });
  await pass(0);
  const { status, body } = answerOf(handler);
  expect([status, body.checks?.a?.error]).toEqual([error === undefined ? 200 : 503, error]);
  await pass(1_000);
  expect(answerOf(handler).body.checks?.a?.error).toBe(error); // and it runs again
});

it.each<[string, boolean[], boolean[], number, string]>([
  ["all pass", [true, true], [true], 200, "pass"],
  ["an optional one fails", [true], [true, false], 200, "warn"],
  ["all optional ones fail", [], [false, false], 200, "warn"],
  ["a required one fails", [true, false], [true], 503, "fail"],
  ["both kinds fail", [false], [false], 503, "fail"],
  ["there are no checks", [], [], 200, "pass"],
])("if %s", async (_what, required, optional, status, word) => {
  const one = (passes: boolean, isRequired: boolean) => ({ check: () => passes, required: isRequired });
  const handler = start(
    Object.fromEntries([
      ...required.map((passes, i) => [`required ${i}`, one(passes, true)]),
      ...optional.map((passes, i) => [`optional ${i}`, one(passes, false)]),
    ]),
  );
  await pass(0);
  expect(answerOf(handler)).toMatchObject({ status, body: { status: word } });
});

it("before its first result a required check is a failure, and an optional one a warning", async () => {
  const required = start({ a: never });
  const optional = start({ a: { check: never, required: false } });
  await pass(0);
  expect(answerOf(required)).toMatchObject({
    status: 503,
    body: { status: "fail", checks: { a: { status: "fail", error: "no result yet" } } },
  });
  expect(answerOf(optional)).toMatchObject({
    status: 200,
    body: { status: "warn", checks: { a: { status: "warn", error: "no result yet" } } },
  });
});

it("a name may be anything, also what JSON and prototypes know", async () => {
  const checks = JSON.parse('{"__proto__": 1, "constructor": 1, "7": 1, "a\\"b": 1}') as object;
  const names = Object.keys(checks);
  const handler = start(Object.fromEntries(names.map((name) => [name, () => true])));
  await pass(0);
  expect(Object.keys(answerOf(handler).body.checks!)).toEqual(names);
});

it("close() stops the timers, aborts the run under way, and the answer is 503", async () => {
  const { runs, check } = manual();
  const handler = start({ waits: { check, timeoutMs: 60_000 }, pauses: () => true });
  await pass(0);
  expect(jest.getTimerCount()).toBe(2);
  handler.close();
  handler.close();
  expect(jest.getTimerCount()).toBe(0);
  expect(runs[0]!.signal.reason).toMatchObject({ name: "AbortError" });
  runs[0]!.pass();
  await pass(100_000);
  expect(runs).toHaveLength(1);
  expect(answerOf(handler)).toMatchObject({ status: 503, body: { status: "fail", closing: true } });
});

it("close() before the first run starts none", async () => {
  const check = jest.fn();
  start({ a: check }).close();
  await pass(100_000);
  expect(check).not.toHaveBeenCalled();
});

it("close() within a check ends its loop", async () => {
  let runs = 0;
  const handler = start({
    a() {
      runs++;
      handler.close();
    },
  });
  await pass(100_000);
  expect(runs).toBe(1);
});

it("changing the options later changes nothing", async () => {
  const checks: Record<string, () => boolean> = { a: () => true };
  const handler = start(checks);
  checks.a = () => false;
  checks.b = () => false;
  await pass(0);
  expect(answerOf(handler).status).toBe(200);
});

it("the log has changes only: the first failure, and the first pass after one", async () => {
  const { entries, ...logger } = memoryLogger();
  let fails = true;
  const check = () => {
    if (fails) throw new Error("connect\nrefused");
  };
  const plan = { check, timeoutMs: 1_000, everyMs: 1_000 };
  const plans = [
    { ...plan, name: "db", required: true },
    { ...plan, name: "mail\u001b[31m", required: false },
    { ...plan, name: "fine", check: () => {}, required: true },
  ];
  const monitor = new Monitor(plans, logger).start();
  await pass(10_000);
  fails = false;
  await pass(10_000);
  fails = true;
  await pass(1_000);
  monitor.close();
  const failed = [
    ["error", "health check failed: db: connect\\nrefused"],
    ["warn", "health check failed: mail\\u001b[31m: connect\\nrefused"],
  ];
  expect(entries.map(({ level, message }) => [level, message])).toEqual([
    ...failed,
    ["info", "health check passes again: db"],
    ["info", "health check passes again: mail\\u001b[31m"],
    ...failed,
  ]);
  expect(entries[0]!.fields).toMatchObject({
    check: "db",
    error: { type: "Error", message: "connect\nrefused" },
  });
  expect(inspect(entries[0]!.fields.error.stack)).toContain("loop.test.ts");
});
