import net from "node:net";
import { until } from "../support/server.js";
import { endPrograms, get, isAlive, listening, start } from "./fixtures/workers-program.js";

jest.setTimeout(60_000);
afterEach(endPrograms);

it("shares one port among the workers, and the primary resolves when all of them listen", async () => {
  const program = start();
  const { url, workers, pid } = await listening(program);
  expect(workers).toHaveLength(2);
  const answered = new Set<number | undefined>();
  for (let i = 0; i < 8; i++) answered.add((await get(url)).pid);
  expect([...answered].sort()).toEqual([...workers].sort());
  expect(answered).not.toContain(pid);
  // In each worker `serve` resolves too, with the same url.
  expect(program.said.filter(({ primary }) => primary === false).map((one) => one.url)).toEqual([url, url]);
});

it("a signal to the primary closes all, with exit code 0, and leaves no process", async () => {
  const program = start();
  const { url, workers } = await listening(program);
  const slow = get(`${url}/slow`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  program.child.kill("SIGTERM");
  expect(await slow).toMatchObject({ status: 200 });
  expect(await program.exit).toBe(0);
  expect(program.said.filter(({ closed }) => closed)).toHaveLength(3);
  expect(program.said.filter(({ closed }) => closed).every(({ closed }) => !closed!.forced)).toBe(true);
  expect(workers.map(isAlive)).toEqual([false, false]);
});

it("a worker that is killed is replaced, and only its own requests fail", async () => {
  const program = start();
  const { url, workers } = await listening(program);
  const slow = await Promise.allSettled([get(`${url}/slow`), get(`${url}/die`)]);
  expect(slow.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  await until(() => program.said.filter(({ primary }) => primary === false).length === 3);
  const now = await program.workers();
  expect(now).toHaveLength(2);
  expect(now.filter((pid) => workers.includes(pid))).toHaveLength(1);
  expect((await get(url)).status).toBe(200);
});

it("an uncaught error drains and replaces its worker only", async () => {
  const program = start();
  const { url, workers } = await listening(program);
  const [slow, timer] = await Promise.all([get(`${url}/slow`), get(`${url}/timer`)]);
  expect([slow.status, timer.status]).toEqual([200, 500]);
  await until(() => program.said.filter(({ primary }) => primary === false).length === 3);
  const gone = program.said.find(({ closed }) => closed)!.pid;
  expect(workers).toContain(gone);
  await until(() => !isAlive(gone));
  expect(await program.workers()).toHaveLength(2);
  expect(program.child.exitCode).toBeNull();
});

it.each([
  ["import", /a worker ended with exit code 1 before it listened/],
  ["exit", /a worker ended with exit code 3 before it listened/],
])("workers that fail at their start (%s) fail the start, instead of being started forever", async (how, message) => {
  const program = start({ FAIL: how });
  expect(await program.exit).toBe(9);
  expect(program.said.filter(({ failed }) => failed).map(({ failed }) => failed)).toEqual([
    expect.stringMatching(message),
  ]);
});

it("the primary reports a port in use", async () => {
  const taken = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.once("listening", resolve));
  const { port } = taken.address() as net.AddressInfo;
  const program = start({ PORTS: String(port) });
  expect(await program.exit).toBe(9);
  await new Promise((resolve) => taken.close(resolve));
  expect(program.said.filter(({ failed }) => failed)).toEqual([
    expect.objectContaining({ code: "EADDRINUSE", failed: expect.stringMatching(/it is in use/) }),
  ]);
});

it('workers: "auto" starts at least one process that serves', async () => {
  const program = start({ WORKERS: "auto" });
  const { url } = await listening(program);
  expect((await get(url)).status).toBe(200);
});

it("without its primary a worker finishes its requests, and ends", async () => {
  const program = start();
  const { url, workers } = await listening(program);
  const slow = get(`${url}/slow`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  program.child.kill("SIGKILL");
  expect((await slow).status).toBe(200);
  await until(() => !workers.some(isAlive));
});

it("with checks, a rolling restart loses no request, and ready is 200 again when the new workers are warm", async () => {
  const program = start({ CHECKS: "300" });
  const { url, workers } = await listening(program);
  const readiness = async () => (await fetch(`${url}/readyz`, { headers: { connection: "close" } })).status;
  const allReady = async () => {
    // Connections go to the workers in turn.
    for (let inTurn = 0; inTurn < 6; ) inTurn = (await readiness()) === 200 ? inTurn + 1 : 0;
  };
  const probed = new Set([await readiness()]);
  await allReady();
  let isDone = false;
  const served = (async () => {
    const statuses = new Set<number>();
    while (!isDone) {
      statuses.add((await get(url)).status);
      probed.add(await readiness());
    }
    return [...statuses];
  })();
  const listened = () => program.said.filter(({ primary }) => primary === false).length;
  for (const pid of workers) {
    const before = listened();
    process.kill(pid, "SIGTERM");
    await until(() => !isAlive(pid) && listened() > before);
    await allReady();
  }
  isDone = true;
  expect(await served).toEqual([200]);
  expect([...probed].sort()).toEqual([200, 503]); // in a worker without its first passing result
  expect((await program.workers()).filter((pid) => workers.includes(pid))).toEqual([]);
});
