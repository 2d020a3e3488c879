import { getEventListeners } from "node:events";
import { pathToFileURL } from "node:url";
import { offload } from "../../src/offload/index.js";
import { until } from "../support/server.js";
import { casesOf, oneIn, SOAK } from "../support/soak.js";
import { fixture, Gate, reasonOf, worker } from "./support.js";

describe("results", () => {
  const run = worker({ threads: 1 });

  it.each([
    ["a path", fixture("fibonacci.mjs")],
    ["a file: URL", pathToFileURL(fixture("fibonacci.mjs"))],
    ["a file: URL as a string", pathToFileURL(fixture("fibonacci.mjs")).href],
    [
      "a data: URL",
      `data:text/javascript,${encodeURIComponent("export default function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) }")}`,
    ],
  ])("%s is a module", async (_what, file) => {
    const fibonacci = offload<number, number>(file, { threads: 1 });
    expect(await fibonacci(20)).toBe(6_765);
  });

  it("a file that a compiler made from an ES module works", async () => {
    expect(await offload(fixture("transpiled.cjs"), { threads: 1 })(1)).toEqual(["transpiled", 1]);
  });

  it.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 0],
    ["a Map", new Map([["a", [1, 2n]]])],
    ["bytes", new Uint8Array([1, 2, 3])],
    ["a date", new Date(0)],
  ])("%s goes there and back", async (_what, value) => {
    expect(await run({ do: "echo", value })).toEqual(value);
    expect(await run({ do: "later", value })).toEqual(value);
  });

  it("a Buffer comes as bytes", async () => {
    const result = (await run({ do: "echo", value: Buffer.from("héllo") })) as Uint8Array;
    expect(Buffer.from(result).toString()).toBe("héllo");
  });

  it("the input is copied when the call is made", async () => {
    const order = { do: "echo", value: ["before"] };
    const promise = run(order);
    order.value[0] = "after";
    expect(await promise).toEqual(["before"]);
  });

  describe("what the task throws", () => {
    it("is an Error here, with message, name, stack, code and cause", async () => {
      const error = await reasonOf(run({ do: "named" }));
      expect(error).toBeInstanceOf(Error);
      expect(error).toMatchObject({ name: "PdfError", message: "page 3 is torn", code: "E_PDF" });
      expect(error.stack).toContain("work.cjs");
      expect(error.cause).toMatchObject({ name: "RangeError", message: "no such font" });
      expect(Object.keys(error)).toEqual(["code"]);
    });

    it("keeps a built-in name", async () => {
      expect(await reasonOf(run({ do: "typed" }))).toMatchObject({
        name: "TypeError",
        message: "a number is needed",
      });
    });

    it.each([
      ["a string", "text", /not an Error was thrown: string text/],
      ["nothing", undefined, /not an Error was thrown: undefined/],
      ["null", null, /not an Error/],
      ["a plain object", { message: "plain" }, /^plain$/],
    ])("%s becomes an Error", async (_what, value, message) => {
      const error = await reasonOf(run({ do: "throws", value }));
      expect(error).toBeInstanceOf(Error);
      expect(error.message).toMatch(message);
    });

    it("may be hostile", async () => {
      expect(await reasonOf(run({ do: "hostile" }))).toBeInstanceOf(Error);
    });

    it.each([
      [{ do: "withStatus", status: 422, expose: true }, 422, true],
      [{ do: "withStatus", status: 404 }, 404, false],
      [{ do: "withStatus", status: 200 }, undefined, undefined],
      [{ do: "withStatus", status: "404" }, undefined, undefined],
      [{ do: "withStatus" }, undefined, undefined],
      [{ do: "inheritedStatus" }, undefined, undefined],
      [{ do: "httpClient" }, undefined, undefined],
      [{ do: "nestjs" }, 404, false],
    ])("%j: the status is %p", async (order, status, expose) => {
      const error = await reasonOf(run(order));
      expect([error.status, error.expose]).toEqual([status, expose]);
    });
  });

  describe("what cannot be copied", () => {
    it.each([
      ["a function", () => {}],
      ["a request", { socket: { on() {} } }],
      ["a symbol", Symbol("s")],
    ])("%s as input is refused with a hint", async (_what, value) => {
      expect(await reasonOf(run({ do: "echo", value }))).toMatchObject({
        name: "DataCloneError",
        code: "ERR_OFFLOAD_INPUT",
        message: expect.stringMatching(/the input cannot be copied.*could not be cloned.*plain data/s),
      });
    });

    it.each([
      "lambda",
      "lambdaWithin",
    ])("as a result (%s) fails the task, and not its thread", async (name) => {
      const thread = await run({ do: "thread" });
      expect(await reasonOf(run({ do: name }))).toMatchObject({
        name: "DataCloneError",
        code: "ERR_OFFLOAD_RESULT",
        message: expect.stringMatching(/the result of .*work\.cjs cannot be copied.*plain data/s),
      });
      expect(await run({ do: "thread" })).toBe(thread);
    });
  });

  it.each([
    [fixture("no-default.mjs"), /no-default\.mjs has no default export that is a function/],
    [fixture("no-function.mjs"), /no-function\.mjs has no default export that is a function/],
    [fixture("fails-to-load.mjs"), /cannot be loaded: it fails while it loads/],
    ["data:text/javascript,export default (", /cannot be loaded: Unexpected end of input/],
  ])("%s fails each call", async (file, message) => {
    const broken = offload(file, { threads: 1 });
    for (let call = 0; call < 2; call++) {
      const error = await reasonOf(broken(1));
      expect(error.message).toMatch(message);
      expect(error).toMatchObject({ code: "ERR_OFFLOAD_MODULE" });
      expect(error.status).toBeUndefined();
    }
  });
});

describe("cancelling", () => {
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

  it("many calls with one signal have one listener on it, and leave none", async () => {
    const run = worker({ threads: 2, maxQueue: 1_000 });
    const { signal } = new AbortController();
    const calls = Array.from({ length: casesOf(500) }, () => run({ do: "echo" }, { signal }));
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await Promise.all(calls);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    for (let i = 0; i < casesOf(250); i++) await run({ do: "echo" }, { signal });
    for (let i = 0; i < casesOf(250); i++) await reasonOf(run({ do: "typed" }, { signal }));
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
});

describe("deaths of workers", () => {
  const deaths = [
    ["process.exit", "exit", /work\.cjs ended before it answered: worker exited with code: 7/],
    ["an error out of band", "uncaught", /ended before it answered: thrown out of band/],
    ["an unhandled rejection", "rejectedAlone", /ended before it answered: without a handler/],
  ] as const;
  describe.each(
    oneIn<(typeof deaths)[number]>(3, deaths),
  )("a thread that dies of %s", (_what, how, message) => {
    it("fails its own task; those that run or wait finish", async () => {
      const run = worker({ threads: 2 });
      const gate = new Gate();
      const neighbour = run(gate.order("neighbour"));
      await until(() => gate.begun === 1);
      const doomed = run({ do: how });
      const waiting = [1, 2, 3].map((value) => run({ do: "echo", value }));
      const error = await reasonOf(doomed);
      expect(error.message).toMatch(message);
      expect(error).toMatchObject({ name: "OffloadError", code: "ERR_OFFLOAD_WORKER_DIED" });
      expect(error.status).toBeUndefined();
      expect(await Promise.all(waiting)).toEqual([1, 2, 3]);
      gate.open();
      expect(await neighbour).toBe("neighbour");
    });

    it("is replaced, each time", async () => {
      const run = worker({ threads: 1 });
      for (let i = 0; i < (SOAK ? 3 : 2); i++) {
        expect(await reasonOf(run({ do: how }))).toMatchObject({ code: "ERR_OFFLOAD_WORKER_DIED" });
        expect(await run({ do: "echo", value: i })).toBe(i);
      }
    });
  });

  it("an error that a task left behind ends an idle thread, and fails no request", async () => {
    const run = worker({ threads: 1 });
    const gate = new Gate();
    const thread = await run({ ...gate.order(), do: "leaveABomb" });
    await until(() => gate.begun === 1);
    await new Promise((resolve) => setTimeout(resolve, 50)); // until it is known here
    expect(await run({ do: "thread" })).not.toBe(thread);
  });

  it("every thread may die at once", async () => {
    const run = worker({ threads: 2 });
    const doomed = Array.from({ length: SOAK ? 6 : 3 }, () => reasonOf(run({ do: "exit" })));
    const alive = run({ do: "echo", value: "alive" });
    expect((await Promise.all(doomed)).map(({ code }) => code)).toEqual(
      doomed.map(() => "ERR_OFFLOAD_WORKER_DIED"),
    );
    expect(await alive).toBe("alive");
  });
});

describe("the queue", () => {
  it("runs as many tasks at a time as there are threads; the others wait", async () => {
    const run = worker({ threads: 2 });
    const gate = new Gate();
    const order: unknown[] = [];
    const note = (value: unknown) => order.push(value);
    const held = [run(gate.order("a")).then(note), run(gate.order("b")).then(note)];
    await until(() => gate.begun === 2);
    const waiting = [3, 4, 5, 6].map((value) => run({ do: "echo", value }).then(note));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(order).toEqual([]);
    gate.open();
    await Promise.all([...held, ...waiting]);
    expect(order.sort()).toEqual([3, 4, 5, 6, "a", "b"]);
  });

  it("keeps the order on one thread", async () => {
    const run = worker({ threads: 1 });
    const order: unknown[] = [];
    const values = Array.from({ length: 20 }, (_, i) => i);
    await Promise.all(values.map((value) => run({ do: "later", value }).then((done) => order.push(done))));
    expect(order).toEqual(values);
  });

  it.each([
    0, 1, 3,
  ])("with %i waiting, the next is refused; afterwards there is room again", async (maxQueue) => {
    const run = worker({ threads: 1, maxQueue });
    for (let round = 0; round < 2; round++) {
      const gate = new Gate();
      const accepted = Array.from({ length: 1 + maxQueue }, () => run(gate.order("done")));
      const refused = await Promise.all([1, 2, 3].map(() => reasonOf(run(gate.order()))));
      for (const error of refused) {
        expect(error).toMatchObject({
          code: "ERR_OFFLOAD_QUEUE_FULL",
          status: 503,
          headers: { "Retry-After": "1" },
        });
        expect(error.message).toMatch(/all threads for .*work\.cjs are busy/);
      }
      gate.open();
      expect(await Promise.all(accepted)).toEqual(accepted.map(() => "done"));
      expect(gate.begun).toBe(accepted.length);
    }
  });

  it("a task that cannot be copied takes no place in the queue", async () => {
    const run = worker({ threads: 1, maxQueue: 1 });
    const gate = new Gate();
    const held = run(gate.order());
    for (let i = 0; i < 3; i++) {
      expect(await reasonOf(run({ do: "echo", value: () => {} }))).toMatchObject({
        code: "ERR_OFFLOAD_INPUT",
      });
    }
    const waiting = run({ do: "echo", value: "mine" });
    gate.open();
    await held;
    expect(await waiting).toBe("mine");
  });

  it("many tasks pass through two threads", async () => {
    const run = worker({ threads: 2, maxQueue: 1_000 });
    const values = Array.from({ length: casesOf(1_000) }, (_, i) => i);
    expect(await Promise.all(values.map((value) => run({ do: "echo", value })))).toEqual(values);
  });
});
