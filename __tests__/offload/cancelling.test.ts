import { getEventListeners } from "node:events";
import { offload } from "../../src/offload/index.js";
import { until } from "../support/server.js";
import { fixture, Gate, reasonOf, worker } from "./support.js";

it("a signal that has aborted before runs nothing", async () => {
  const run = worker({ threads: 1 });
  const gate = new Gate();
  gate.open();
  const reason = new Error("left long ago");
  expect(await reasonOf(run(gate.order(), { signal: AbortSignal.abort(reason) }))).toBe(reason);
  await run({ do: "echo" });
  expect(gate.begun).toBe(0);
});

it("a waiting task leaves the queue, and its place is free", async () => {
  const run = worker({ threads: 1, maxQueue: 1 });
  const gate = new Gate();
  const held = run(gate.order("held"));
  await until(() => gate.begun === 1);
  const client = new AbortController();
  const waiting = run(gate.order(), { signal: client.signal });
  client.abort();
  expect(await reasonOf(waiting)).toBe(client.signal.reason);
  const next = run({ do: "echo", value: "next" });
  gate.open();
  expect(await Promise.all([held, next])).toEqual(["held", "next"]);
  expect(gate.begun).toBe(1);
});

it("a running task ends with its thread, and the next one gets a new thread", async () => {
  const run = worker({ threads: 1 });
  const first = await run({ do: "thread" });
  const client = new AbortController();
  const gate = new Gate();
  const running = run(gate.order(), { signal: client.signal });
  const next = run({ do: "thread" });
  await until(() => gate.begun === 1);
  const reason = new Error("the client has left");
  client.abort(reason);
  expect(await reasonOf(running)).toBe(reason);
  expect(await next).not.toBe(first);
});

it("an endless loop can be cancelled, and other tasks are not affected", async () => {
  const run = worker({ threads: 2 });
  const gate = new Gate();
  const held = run(gate.order("held"));
  await until(() => gate.begun === 1);
  const client = new AbortController();
  const forever = run({ do: "forever" }, { signal: client.signal });
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.abort();
  expect(await reasonOf(forever)).toMatchObject({ name: "AbortError" });
  gate.open();
  expect(await held).toBe("held");
});

it("a task can be cancelled while its first thread starts", async () => {
  const run = worker({ threads: 1 });
  const client = new AbortController();
  const gate = new Gate();
  const starting = run(gate.order(), { signal: client.signal });
  const next = run({ do: "echo", value: "next" });
  client.abort();
  expect(await reasonOf(starting)).toBe(client.signal.reason);
  expect(await next).toBe("next");
  expect(gate.begun).toBe(0);
});

it("an abort after the result changes nothing", async () => {
  const run = worker({ threads: 1 });
  const client = new AbortController();
  const thread = await run({ do: "thread" }, { signal: client.signal });
  client.abort();
  expect(await run({ do: "thread" })).toBe(thread);
});

it("a thousand calls with one signal have one listener on it, and leave none", async () => {
  const run = worker({ threads: 2, maxQueue: 1_000 });
  const { signal } = new AbortController();
  const calls = Array.from({ length: 500 }, () => run({ do: "echo" }, { signal }));
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  await Promise.all(calls);
  expect(getEventListeners(signal, "abort")).toEqual([]);
  for (let i = 0; i < 250; i++) await run({ do: "echo" }, { signal });
  for (let i = 0; i < 250; i++) await reasonOf(run({ do: "typed" }, { signal }));
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

it("a signal ends all calls that have it, and no other", async () => {
  const run = worker({ threads: 2 });
  const gate = new Gate();
  const client = new AbortController();
  const mine = [1, 2, 3, 4].map((value) => run(gate.order(value), { signal: client.signal }));
  const others = run({ do: "echo", value: "other" }, { signal: new AbortController().signal });
  await until(() => gate.begun === 2);
  client.abort();
  expect(await Promise.all(mine.map(reasonOf))).toEqual(mine.map(() => client.signal.reason));
  expect(await others).toBe("other");
  expect(gate.begun).toBe(2);
  expect(getEventListeners(client.signal, "abort")).toEqual([]);
});

describe("timeoutMs", () => {
  it("ends a task that runs too long, for 503; the next one gets a new thread", async () => {
    const run = worker({ threads: 1, timeoutMs: 60 });
    const first = await run({ do: "thread" });
    const long = run({ do: "forever" });
    const next = run({ do: "thread" });
    expect(await reasonOf(long)).toMatchObject({
      code: "ERR_OFFLOAD_TIMEOUT",
      status: 503,
      headers: { "Retry-After": "1" },
      message: expect.stringMatching(/work\.cjs took more than 60 ms/),
    });
    expect(await next).not.toBe(first);
  });

  it("ends a task that waits for ever", async () => {
    const error = await reasonOf(worker({ threads: 1, timeoutMs: 20 })({ do: "never" }));
    expect(error).toMatchObject({ code: "ERR_OFFLOAD_TIMEOUT" });
  });

  it("does not count the waiting, nor the loading of the module", async () => {
    const run = offload<number>(fixture("slow-to-load.mjs"), { threads: 1, timeoutMs: 100 });
    expect(await Promise.all([1, 2, 3].map((value) => run(value)))).toEqual([1, 2, 3]);
  });

  it("has a Retry-After of that time", async () => {
    const error = await reasonOf(worker({ threads: 1, timeoutMs: 1_001 })({ do: "never" }));
    expect(error.headers).toEqual({ "Retry-After": "2" });
  });
});

it.each([
  ["the signal itself", new AbortController().signal, "options", /must be an object of options/],
  ["null", null, "options", /must be an object of options/],
  ["something else as the signal", { signal: "now" }, "signal", /must be an AbortSignal/],
  ["null as the signal", { signal: null }, "signal", /must be an AbortSignal/],
  ["a controller as the signal", { signal: new AbortController() }, "signal", /must be an AbortSignal/],
  ["a misspelt name", { sgnal: new AbortController().signal }, "sgnal", /Did you mean "signal"/],
  ["a name too many", { signal: undefined, timeoutMs: 5 }, "timeoutMs", /unknown option/],
])("%s as the options of a call: refused", async (_what, options, option, reason) => {
  const error = await reasonOf(worker({ threads: 1 })({ do: "echo" }, options as never));
  expect(error).toMatchObject({
    name: "ConfigError",
    message: expect.stringContaining("a call of offload()"),
    problems: [{ option, reason: expect.stringMatching(reason) }],
  });
});

it.each([
  [undefined],
  [{}],
  [{ signal: undefined }],
  [Object.create(null)],
])("%p as the options of a call means no signal", async (options) => {
  expect(await worker({ threads: 1 })({ do: "echo", value: 5 }, options)).toBe(5);
});
