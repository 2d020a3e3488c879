import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import { until } from "../support/server.js";
import { get, isAlive } from "./fixtures/workers-program.js";

const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
});

interface Said {
  readonly pid: number;
  readonly primary?: boolean;
  readonly urls?: string[];
  readonly failed?: string;
  readonly processes?: number[];
  readonly workers?: number[];
  readonly record?: { readonly message: string };
}

async function start(options: object) {
  const child = fork(join(__dirname, "fixtures/two-servers-app.mjs"), [JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  running.add(child);
  const said: Said[] = [];
  let rest = "";
  child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) said.push(JSON.parse(line));
  });
  const exit = once(child, "exit").then(([code, signal]) => {
    running.delete(child);
    return code ?? signal;
  });
  const opened = () => said.filter(({ primary }) => primary === false).length;
  await until(() => said.some(({ primary }) => primary) && opened() === 2); // both workers have made both calls
  /** What the primary has, after it has closed one of its servers if that is asked for. */
  const has = async (ask: object = {}): Promise<{ processes: number[]; workers: number[] }> => {
    const answers = () => said.filter(({ processes }) => processes !== undefined);
    const before = answers().length;
    child.send(ask);
    await until(() => answers().length > before);
    return answers().at(-1) as never;
  };
  const logged = (message: string) => said.filter(({ record }) => record?.message === message).length;
  return { child, said, exit, has, opened, logged, urls: said.find(({ primary }) => primary)!.urls! };
}

describe("a second server that cannot listen, in a program that goes on", () => {
  let taken: net.Server;
  beforeAll(async () => {
    taken = net.createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
  });
  afterAll(() => new Promise((resolve) => taken.close(resolve)));
  const second = () => (taken.address() as net.AddressInfo).port;

  it.each([
    0, 300,
  ])("fails only its own call, and a signal closes the first (%d ms between the calls)", async (gapMs) => {
    const program = await start({ second: second(), gapMs });
    expect(program.said.filter(({ failed }) => failed !== undefined)).toMatchObject([
      { failed: "EADDRINUSE" },
    ]);
    expect((await get(program.urls[0]!)).status).toBe(200);
    program.child.kill("SIGTERM");
    expect(await program.exit).toBe(0);
    expect(program.logged("closed")).toBe(1); // and not by force
  });
});

it("a worker that can listen where the others could not is told to close that server, and stays", async () => {
  const taken = net.createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const program = await start({ second: (taken.address() as net.AddressInfo).port, gapMs: 100 });
  await new Promise((resolve) => taken.close(resolve));
  const { workers } = await program.has();
  process.kill(workers[0]!, "SIGKILL");
  await until(() => !isAlive(workers[0]!) && program.logged("a worker has ended; another one starts") === 1);
  await until(() => program.opened() === 3);
  // Each successor would start another one, within milliseconds.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(program.opened()).toBe(3);
  const now = await program.has();
  expect(now.processes).toHaveLength(2);
  expect(now.workers.sort()).toEqual(now.processes.sort());
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(0);
});

it.each([
  0, 300,
])("a successor stays until it has opened its second server, if the first one is closed (%d ms between the calls)", async (gapMs) => {
  const program = await start({ gapMs });
  const { workers } = await program.has({ close: 0 });
  process.kill(workers[0]!, "SIGKILL");
  await until(() => program.opened() === 3);
  expect((await program.has()).workers).toHaveLength(2);
  expect(program.logged("a worker has ended; another one starts")).toBe(1);
  expect((await get(program.urls[1]!)).status).toBe(200);
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(0);
});
