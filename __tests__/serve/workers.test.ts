import http from "node:http";
import net from "node:net";
import { until } from "../support/server.js";
import { inSoak } from "../support/soak.js";
import {
  endPrograms,
  get,
  isAlive,
  listening,
  type Program,
  type Said,
  start,
  underWay,
} from "./fixtures/workers-program.js";

describe("a program with two workers", () => {
  let program: Program;
  let first: Awaited<ReturnType<typeof listening>>;
  const said = (primary: boolean) => program.said.filter((one) => one.primary === primary);
  beforeAll(async () => {
    program = start();
    first = await listening(program);
  });
  afterAll(endPrograms);

  it("shares one port among the workers, and the primary resolves when all of them listen", async () => {
    const { url, workers, pid } = first;
    expect(workers).toHaveLength(2);
    const answered = new Set<number | undefined>();
    for (let i = 0; i < 8; i++) answered.add((await get(url)).pid);
    expect([...answered].sort()).toEqual([...workers].sort());
    expect(answered).not.toContain(pid);
    // In each worker `serve` resolves too, with the same url.
    expect(said(false).map((one) => one.url)).toEqual([url, url]);
  });

  it("a worker that is killed is replaced, and only its own requests fail", async () => {
    const { url, workers } = first;
    const slow = await Promise.allSettled([get(`${url}/slow`), get(`${url}/die`)]);
    expect(slow.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    await until(() => said(false).length === 3);
    const now = await program.workers();
    expect(now).toHaveLength(2);
    expect(now.filter((pid) => workers.includes(pid))).toHaveLength(1);
    expect((await get(url)).status).toBe(200);
  });

  it("an uncaught error drains and replaces its worker only", async () => {
    const { url } = first;
    const workers = await program.workers();
    const [slow, timer] = await Promise.all([get(`${url}/slow`), get(`${url}/timer`)]);
    expect([slow.status, timer.status]).toEqual([200, 500]);
    await until(() => said(false).length === 4);
    const gone = program.said.find(({ closed }) => closed)!.pid;
    expect(workers).toContain(gone);
    await until(() => !isAlive(gone));
    expect(await program.workers()).toHaveLength(2);
    expect(program.child.exitCode).toBeNull();
  });

  it("a signal to the primary closes all, with exit code 0, and leaves no process", async () => {
    const { url } = first;
    const workers = await program.workers();
    const before = program.said.length;
    const slow = await underWay(program, url);
    program.child.kill("SIGTERM");
    expect(await slow.reply).toMatchObject({ status: 200 });
    expect(await program.exit).toBe(0);
    const closed = program.said.slice(before).flatMap((one) => one.closed ?? []);
    expect(closed).toHaveLength(3);
    expect(closed.every(({ forced }) => !forced)).toBe(true);
    expect(workers.map(isAlive)).toEqual([false, false]);
  });
});

inSoak(() =>
  describe("a program of its own", () => {
    afterEach(endPrograms);

    it("with checks, a rolling restart loses no request, and ready is 200 again when the new workers are warm", async () => {
      const program = start({ CHECKS: "300" });
      const { url, workers } = await listening(program);
      const readiness = async () =>
        (await fetch(`${url}/readyz`, { headers: { connection: "close" } })).status;
      const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
      const allReady = async () => {
        // Connections go to the workers in turn.
        for (let inTurn = 0; inTurn < 6; ) {
          inTurn = (await readiness()) === 200 ? inTurn + 1 : 0;
          if (inTurn === 0) await pause();
        }
      };
      const probed = new Set([await readiness()]);
      await allReady();
      let isDone = false;
      const served = (async () => {
        const statuses = new Set<number>();
        while (!isDone) {
          statuses.add((await get(url)).status);
          probed.add(await readiness());
          await pause();
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
  }),
);

inSoak(() => {
  describe("a start that fails, and an end without a signal", () => {
    afterEach(endPrograms);

    it("workers that fail at their start fail the start, instead of being started forever", async () => {
      const program = start({ FAIL: "import" });
      expect(await program.exit).toBe(9);
      expect(program.said.filter(({ failed }) => failed).map(({ failed }) => failed)).toEqual([
        expect.stringMatching(/a worker ended with exit code 1 before it listened/),
      ]);
    });

    it.each([
      ["fails", /^serve\(\): a worker could not be started: spawn .*ENOENT$/],
      ["throws", /^serve\(\): a worker could not be started: spawn ENOMEM$/],
      ["mixed", /^serve\(\): a worker could not be started: spawn ENOMEM$/],
    ])("a system that starts no processes fails the start: fork %s", async (how, message) => {
      const program = start({ FORK: how });
      expect(await program.exit).toBe(9);
      expect(program.said.filter(({ failed }) => failed).map(({ failed }) => failed)).toEqual([
        expect.stringMatching(message),
      ]);
    });

    it.each([
      ["fails", true],
      ["throws", true],
      ["fails", false],
      ["throws", false],
    ])("if fork %s later, it is tried again; a shutdown meanwhile ends (it works again: %s)", async (how, works) => {
      const program = start({ LOG: "yes" });
      const { url, workers } = await listening(program);
      const listened = () => program.said.filter(({ primary }) => primary === false).length;
      await until(() => listened() === 2); // the primary may have told it first
      program.child.send(how);
      process.kill(workers[0]!, "SIGKILL");
      const failures = () =>
        program.said.filter(({ message }) => message === "a worker could not be started; it is tried again");
      await until(() => failures().length >= 2);
      const [first, second] = failures().map(({ pauseMs }) => pauseMs!);
      expect(second).toBe(2 * first!);
      expect((await get(url)).pid).toBe(workers[1]); // the other one serves
      if (works) {
        program.child.send("works");
        await until(() => listened() === 3);
        expect(await program.workers()).toHaveLength(2);
        expect(program.said.findLast(({ processes }) => processes !== undefined)!.processes).toBe(2);
      }
      program.child.kill("SIGTERM");
      expect(await program.exit).toBe(0);
      expect(program.said.filter(({ closed }) => closed).at(-1)!.closed).toEqual({
        forced: false,
        tasksLeft: [],
      });
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

    it("without its primary a worker finishes its requests, and ends", async () => {
      const program = start();
      const { url, workers } = await listening(program);
      const slow = await underWay(program, url);
      program.child.kill("SIGKILL");
      expect((await slow.reply).status).toBe(200);
      await until(() => !workers.some(isAlive));
    });
  });

  describe("under load, and with other settings", () => {
    const ROUNDS = 20;
    /** Enough for a process to start or end on a very busy machine. */
    const BUSY_MS = 60_000;
    afterEach(endPrograms);

    it(
      `no request fails while the workers are restarted one after the other, ${ROUNDS} times, under load`,
      async () => {
        // A busy client may be slow to use a connection that is open.
        const program = start({ GRACE_MS: "2000", DEADLINE_MS: String(BUSY_MS) });
        const { url } = await listening(program);
        const agent = new http.Agent({ keepAlive: true, maxSockets: 50 });
        let done = false;
        let answered = 0;
        const failures: unknown[] = [];
        const client = async () => {
          while (!done) {
            try {
              const { status } = await get(url, agent);
              if (status === 200) answered++;
              else failures.push(status);
            } catch (error) {
              failures.push(error);
            }
          }
        };
        const clients = Array.from({ length: 50 }, client);
        try {
          for (let round = 0; round < ROUNDS; round++) {
            const [oldest] = await program.workers();
            const listened = program.said.filter(({ primary }) => primary === false).length;
            process.kill(oldest!, "SIGTERM");
            await until(() => !isAlive(oldest!), BUSY_MS);
            await until(
              () => program.said.filter(({ primary }) => primary === false).length > listened,
              BUSY_MS,
            );
          }
        } finally {
          done = true;
          await Promise.all(clients);
          agent.destroy();
        }
        expect(failures).toEqual([]);
        expect(answered).toBeGreaterThan(1_000);
        program.child.kill("SIGTERM");
        expect(await program.exit).toBe(0);
      },
      10 * BUSY_MS,
    );

    it("workers that end at their start, with a code of their own, fail the start", async () => {
      const program = start({ FAIL: "exit" });
      expect(await program.exit).toBe(9);
      expect(program.said.filter(({ failed }) => failed).map(({ failed }) => failed)).toEqual([
        expect.stringMatching(/a worker ended with exit code 3 before it listened/),
      ]);
    });

    it("a start that has failed can be tried again", async () => {
      const taken = net.createServer().listen(0, "127.0.0.1");
      await new Promise((resolve) => taken.once("listening", resolve));
      const { port } = taken.address() as net.AddressInfo;
      const program = start({ PORTS: String(port), RETRY: "yes" });
      await until(() => program.said.filter(({ failed }) => failed).length >= 2);
      await new Promise((resolve) => taken.close(resolve));
      const { url, workers } = await listening(program);
      expect(workers).toHaveLength(2);
      expect((await get(url)).status).toBe(200);
      program.child.kill("SIGTERM");
      expect(await program.exit).toBe(0);
    });

    it("with the longest deadline nothing is ended by force", async () => {
      const program = start({ DEADLINE_MS: String(2 ** 31 - 1) });
      const { url } = await listening(program);
      const slow = await underWay(program, url);
      program.child.kill("SIGTERM");
      expect(await slow.reply).toMatchObject({ status: 200 });
      expect(await program.exit).toBe(0);
    });

    it("several servers share the workers", async () => {
      const program = start({ PORTS: "0,0" });
      await until(() => program.said.filter(({ primary }) => primary).length === 2);
      const [first, second] = program.said.filter(({ primary }) => primary) as Required<Said>[];
      expect(first!.url).not.toBe(second!.url);
      expect(first!.workers).toEqual(second!.workers);
      expect([(await get(first!.url)).status, (await get(second!.url)).status]).toEqual([200, 200]);
      program.child.kill("SIGTERM");
      expect(await program.exit).toBe(0);
    });

    it('workers: "auto" starts at least one process that serves', async () => {
      const program = start({ WORKERS: "auto" });
      const { url } = await listening(program);
      expect((await get(url)).status).toBe(200);
    });
  });
});
