import { type ChildProcess, fork } from "node:child_process";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { until } from "../support/server.js";

jest.setTimeout(60_000);

/** Enough for a process to start or end on a very busy machine. */
const BUSY_MS = 60_000;

const program = join(__dirname, "fixtures", "workers-app.mjs");

interface Said {
  readonly pid: number;
  readonly url?: string;
  readonly workers?: number[];
  readonly primary?: boolean;
  readonly closed?: { readonly forced: boolean; readonly tasksLeft: string[] };
  readonly failed?: string;
  readonly code?: string;
  readonly message?: string;
}

interface Program {
  readonly child: ChildProcess;
  readonly said: Said[];
  readonly exit: Promise<number | string>;
  /** The newest list of workers in the primary. */
  workers(): Promise<number[]>;
}

const running = new Set<ChildProcess>();

afterEach(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const hard = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await gone;
    clearTimeout(hard);
  }
  running.clear();
});

function start(env: Record<string, string> = {}): Program {
  const child = fork(program, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  running.add(child);
  const said: Said[] = [];
  let rest = "";
  child.stdout!.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop()!;
    said.push(...lines.map((line) => JSON.parse(line) as Said));
  });
  const exit = new Promise<number | string>((resolve) =>
    child.once("exit", (code, signal) => resolve(code ?? signal!)),
  );
  const workers = async () => {
    // A worker that starts prints its own list, too, which is empty.
    const told = () => said.filter((one) => one.workers !== undefined && one.primary === undefined);
    const before = told().length;
    child.send("workers");
    await until(() => told().length > before);
    return told().at(-1)!.workers!;
  };
  return { child, said, exit, workers };
}

async function listening({ said }: Program): Promise<Said & { url: string; workers: number[] }> {
  await until(() => said.some(({ primary }) => primary));
  return said.find(({ primary }) => primary) as never;
}

function get(
  url: string,
  agent: http.Agent | false = false,
): Promise<{ status: number; body: string; pid: number | undefined }> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { agent }, (res) => {
        let body = "";
        res.setEncoding("utf8");
        res.on("data", (chunk) => (body += chunk));
        res.on("end", () => {
          const pid = res.statusCode === 200 ? (JSON.parse(body) as { pid: number }).pid : undefined;
          resolve({ status: res.statusCode!, body, pid });
        });
        res.on("error", reject);
      })
      .on("error", reject);
  });
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

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
  const slow = get(`${url}/slow`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  program.child.kill("SIGTERM");
  expect(await slow).toMatchObject({ status: 200 });
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

it("without its primary a worker finishes its requests, and ends", async () => {
  const program = start();
  const { url, workers } = await listening(program);
  const slow = get(`${url}/slow`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  program.child.kill("SIGKILL");
  expect((await slow).status).toBe(200);
  await until(() => !workers.some(isAlive));
});

it(
  "no request fails while the workers are restarted one after the other, twenty times, under load",
  async () => {
    const program = start();
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
      for (let round = 0; round < 20; round++) {
        const [oldest] = await program.workers();
        const listened = program.said.filter(({ primary }) => primary === false).length;
        process.kill(oldest!, "SIGTERM");
        await until(() => !isAlive(oldest!), BUSY_MS);
        await until(() => program.said.filter(({ primary }) => primary === false).length > listened, BUSY_MS);
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
