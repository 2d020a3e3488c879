import { once } from "node:events";
import { background } from "../../src/background/index.js";
import { currentContext, recover, requestContext } from "../../src/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { abortTasks, pendingTasks, whenIdle } from "../../src/lib/request/tasks.js";
import { serve } from "../../src/serve/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, until } from "../support/server.js";

afterEach(async () => {
  await closeServers();
  await whenIdle();
});

const boom = new Error("boom");

/** A task that ends when the test ends it. */
function held() {
  let release!: () => void;
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { task: () => promise, release };
}

it.each<[string, () => unknown, object]>([
  [
    "an Error thrown",
    () => {
      throw boom;
    },
    { type: "Error", message: "boom" },
  ],
  [
    "a string thrown",
    () => {
      throw "boom";
    },
    { type: "string", message: "boom" },
  ],
  [
    "nothing thrown",
    () => {
      throw undefined;
    },
    { type: "undefined" },
  ],
  [
    "an Error as a rejection",
    async () => {
      throw boom;
    },
    { type: "Error", message: "boom" },
  ],
  ["nothing as a rejection", () => Promise.reject(undefined), { type: "undefined" }],
  [
    "a thenable that rejects",
    // biome-ignore lint/suspicious/noThenProperty: what is tested
    () => ({ then: (_: unknown, reject: (e: unknown) => void) => reject(boom) }),
    { message: "boom" },
  ],
  [
    "a late rejection",
    () => new Promise((_resolve, reject) => setTimeout(reject, 5, boom)),
    { message: "boom" },
  ],
])("%s is logged once, with the task's name, and never rejects", async (_what, task, error) => {
  const logger = memoryLogger();
  await expect(background("the work", task, { logger })).resolves.toBeUndefined();
  expect(logger.entries).toHaveLength(1);
  expect(logger.entries[0]).toMatchObject({
    level: "error",
    message: `background task failed: the work: ${(error as Error).message}`,
    fields: { task: "the work", error },
  });
});

it.each<[string, unknown]>([
  ["a value", 42],
  ["a promise of one", Promise.resolve(42)],
  ["nothing", undefined],
])("a task that returns %s ends well, and nothing is logged", async (_what, value) => {
  const logger = memoryLogger();
  await expect(background("the work", () => value, { logger })).resolves.toBeUndefined();
  expect(logger.entries).toEqual([]);
});

it("starts at once", () => {
  let started = false;
  void background("the work", () => {
    started = true;
  });
  expect(started).toBe(true);
});

it("a logger that throws changes nothing", async () => {
  const stderr = jest.spyOn(process.stderr, "write").mockReturnValue(true);
  const broken = () => {
    throw new Error("the logger is broken");
  };
  const logger = { debug: broken, info: broken, warn: broken, error: broken };
  await expect(background("the work", () => Promise.reject(boom), { logger })).resolves.toBeUndefined();
  expect(stderr.mock.calls.join("")).toMatch(/the logger threw.*background task failed/s);
  stderr.mockRestore();
});

describe.each(expressVersions)("in a request on %s", (_version, express) => {
  function app(logger = memoryLogger()) {
    const seen: (string | undefined)[] = [];
    const made = express();
    made.use(requestContext());
    made.get("/", (_req, res) => {
      void background("the work", async () => {
        seen.push(currentContext()?.id);
        await new Promise((resolve) => setTimeout(resolve, 10));
        seen.push(currentContext()?.id);
        throw boom;
      });
      res.send("accepted");
    });
    made.use(recover({ logger }));
    return { made, logger, seen };
  }

  it("its context is there; its failure has the request's id, is logged by recover's logger, and does not answer the request", async () => {
    const { made, logger, seen } = app();
    const server = await listen(made);
    const res = await fetch(server.url);
    expect([res.status, await res.text()]).toEqual([200, "accepted"]);
    await until(() => logger.entries.length > 0);
    const id = res.headers.get("x-request-id");
    expect(seen).toEqual([id, id]);
    expect(logger.entries).toMatchObject([{ level: "error", fields: { task: "the work", requestId: id } }]);
    expect((await fetch(server.url)).status).toBe(200);
  });

  it("finds the logger of the recover of the app that it is mounted in", async () => {
    const { made: outer, logger } = app();
    const inner = express();
    inner.get("/inner", (_req, res) => {
      void background("the inner work", () => Promise.reject(boom));
      res.send("accepted");
    });
    const whole = express();
    whole.use(requestContext(), inner, outer, recover({ logger }));
    const server = await listen(whole);
    await fetch(`${server.url}/inner`);
    await until(() => logger.entries.length > 0);
    expect(logger.entries).toMatchObject([{ fields: { task: "the inner work" } }]);
  });
});

it("its signal aborts with the given one, and leaves no listener on it", async () => {
  const { signal } = new AbortController();
  const controller = new AbortController();
  const reason = new Error("enough");
  const seen = new Promise((resolve) => {
    void background(
      "the work",
      async (own) => {
        await once(own, "abort");
        resolve(own.reason);
      },
      { signal: controller.signal },
    );
  });
  controller.abort(reason);
  expect(await seen).toBe(reason);

  const removed = jest.spyOn(signal, "removeEventListener");
  await background("short work", () => {}, { signal });
  expect(removed).toHaveBeenCalledTimes(1);
});

it("with an aborted signal, the task's signal is aborted from the start", async () => {
  const seen: boolean[] = [];
  await background("the work", (own) => void seen.push(own.aborted), { signal: AbortSignal.abort() });
  expect(seen).toEqual([true]);
});

it("lists pending tasks, and resolves when there are none", async () => {
  const [a, b] = [held(), held()];
  const both = Promise.all([background("a", a.task), background("b", b.task)]);
  expect(pendingTasks()).toEqual(["a", "b"]);
  let idle = false;
  void whenIdle().then(() => {
    idle = true;
  });
  a.release();
  await until(() => pendingTasks().length === 1);
  expect([pendingTasks(), idle]).toEqual([["b"], false]);
  b.release();
  await both;
  expect(pendingTasks()).toEqual([]);
  await until(() => idle);
});

it("two installed copies of the package share the tasks of the process", async () => {
  const one = held();
  const running = background("of the first copy", one.task);
  await jest.isolateModulesAsync(async () => {
    const second = await import("../../src/lib/request/tasks.js");
    expect(second.pendingTasks).not.toBe(pendingTasks);
    expect(second.pendingTasks()).toEqual(["of the first copy"]);
  });
  one.release();
  await running;
});

describe("at a shutdown", () => {
  const quiet = {
    signals: false,
    onUncaught: false,
    port: 0,
    host: "127.0.0.1",
    logger: memoryLogger(),
  } as const;

  it("is waited for, and so is what it starts then", async () => {
    const served = await serve((_req, res) => void res.end(), { ...quiet });
    const [first, second] = [held(), held()];
    let done = "";
    void background("first", async () => {
      await first.task();
      void background("second", async () => {
        await second.task();
        done += "second";
      });
      done += "first ";
    });
    const closed = served.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    first.release();
    await until(() => pendingTasks().includes("second"));
    second.release();
    expect(await closed).toMatchObject({ forced: false, tasksLeft: [] });
    expect(done).toBe("first second");
  });

  it("is waited for also if it begins when another one has ended", async () => {
    const served = await serve((_req, res) => void res.end(), { ...quiet });
    const done: string[] = [];
    const work = (name: string) =>
      background(name, async () => {
        await new Promise((resolve) => setTimeout(resolve, 15));
        done.push(name);
      });
    const all = (async () => {
      for (const name of ["first", "second", "third"]) {
        await work(name);
        await Promise.resolve().then(() => {}); // a few turns later
      }
    })();
    expect(await served.close()).toMatchObject({ forced: false, tasksLeft: [] });
    expect(done).toEqual(["first", "second", "third"]);
    await all;
  });

  it("is aborted at the deadline, and named", async () => {
    const served = await serve((_req, res) => void res.end(), { ...quiet, drain: { deadlineMs: 30 } });
    const stuck = held();
    let reason: unknown;
    const running = background("stuck", async (signal) => {
      signal.addEventListener("abort", () => {
        reason = signal.reason;
      });
      await stuck.task();
    });
    expect(await served.close()).toMatchObject({ forced: true, tasksLeft: ["stuck"] });
    expect(reason).toMatchObject({ name: "AbortError" });
    stuck.release();
    await running;
  });

  it("abortTasks aborts every signal", async () => {
    const signals: AbortSignal[] = [];
    const one = held();
    const running = background("one", (signal) => {
      signals.push(signal);
      return one.task();
    });
    abortTasks("over");
    expect(signals.map(({ reason }) => reason)).toEqual(["over"]);
    one.release();
    await running;
  });
});

const noTask = () => {};
it.each<[string, unknown[], string, RegExp]>([
  ["no name", [undefined, noTask], "name", /must say what the task does/],
  ["an empty name", ["  ", noTask], "name", /must say what the task does/],
  ["a name that is none", [42, noTask], "name", /received 42; must say/],
  ["no task", ["x"], "task", /must be a function/],
  ["a promise as the task", ["x", Promise.resolve()], "task", /already started/],
  ["an unknown option", ["x", noTask, { loger: console }], "loger", /Did you mean "logger"/],
  ["a logger that is none", ["x", noTask, { logger: { info() {} } }], "logger", /must have the methods/],
  ["a signal that is none", ["x", noTask, { signal: true }], "signal", /must be an AbortSignal/],
  [
    "a controller for its signal",
    ["x", noTask, { signal: new AbortController() }],
    "signal",
    /must be an AbortSignal/,
  ],
  ["options that are none", ["x", noTask, "logger"], "options", /must be an object/],
])("%s is refused at the call", (_what, args, option, message) => {
  try {
    void (background as (...args: unknown[]) => unknown)(...args);
    throw new Error("was not refused");
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).problems.map((problem) => problem.option)).toEqual([option]);
    expect((error as Error).message).toMatch(message);
  }
  expect(pendingTasks()).toEqual([]);
});
