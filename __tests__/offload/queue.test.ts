import { until } from "../support/server.js";
import { Gate, reasonOf, worker } from "./support.js";

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
    expect(await reasonOf(run({ do: "echo", value: () => {} }))).toMatchObject({ code: "ERR_OFFLOAD_INPUT" });
  }
  const waiting = run({ do: "echo", value: "mine" });
  gate.open();
  await held;
  expect(await waiting).toBe("mine");
});

it("a thousand tasks pass through two threads", async () => {
  const run = worker({ threads: 2, maxQueue: 1_000 });
  const values = Array.from({ length: 1_000 }, (_, i) => i);
  expect(await Promise.all(values.map((value) => run({ do: "echo", value })))).toEqual(values);
});
