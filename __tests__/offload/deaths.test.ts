import { until } from "../support/server.js";
import { Gate, reasonOf, worker } from "./support.js";

describe.each([
  ["process.exit", "exit", /work\.cjs ended before it answered: worker exited with code: 7/],
  ["an error out of band", "uncaught", /ended before it answered: thrown out of band/],
  ["an unhandled rejection", "rejectedAlone", /ended before it answered: without a handler/],
])("a thread that dies of %s", (_what, how, message) => {
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
    for (let i = 0; i < 3; i++) {
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
  const doomed = Array.from({ length: 6 }, () => reasonOf(run({ do: "exit" })));
  const alive = run({ do: "echo", value: "alive" });
  expect((await Promise.all(doomed)).map(({ code }) => code)).toEqual(
    doomed.map(() => "ERR_OFFLOAD_WORKER_DIED"),
  );
  expect(await alive).toBe("alive");
});
