import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Loopback } from "./loopback.js";

// Over loopback: each server in a process of its own, the load from this one; the CPU time of the server, divided by its
// requests. The rounds are short and interleaved, and of each process the median counts. Of each server there are several
// processes, and the middle one counts: one and the same program can be a fifth slower in one than in another.
const PROCESSES = 5;
const ROUNDS = 24;
const WARM_UPS = 8;
const REQUESTS = 2_000;
const CONNECTIONS = 20;
const HEADERS = { origin: "https://app.example", "x-api-key": "k" };

const COMPARISONS = [
  { name: "bare route: serve, of app.listen", ours: "bare serve", peer: "bare listen", limit: 0.45 },
  {
    name: "five concerns under serve, of morgan + helmet + cors",
    ours: "five serve",
    peer: "peers listen",
    limit: 0.45,
  },
  {
    name: "context, timeout and around, of the bare route",
    ours: "around serve",
    peer: "bare serve",
    limit: 1.25,
  },
];

class Server {
  readonly micros: number[] = [];
  private loopback: Loopback | undefined;
  private constructor(
    private readonly child: ChildProcess,
    private readonly port: number,
  ) {}

  static async start(name: string): Promise<Server> {
    const child = fork(fileURLToPath(new URL("serve-app.mjs", import.meta.url)), name.split(" "), {
      execArgv: [],
    });
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    pin(child.pid!, 0);
    return new Server(child, port);
  }

  async round(counts: boolean): Promise<void> {
    // Not before: a connection that asks nothing for a while is closed.
    this.loopback ??= await Loopback.open(this.port, CONNECTIONS, HEADERS);
    const before = await this.cpu();
    await this.loopback.ask(REQUESTS);
    if (counts) this.micros.push(((await this.cpu()) - before) / REQUESTS);
  }

  stop(): void {
    this.loopback?.close();
    this.child.kill("SIGKILL");
  }

  private async cpu(): Promise<number> {
    this.child.send("cpu");
    const [{ user, system }] = (await once(this.child, "message")) as [NodeJS.CpuUsage];
    return user + system;
  }
}

// This process never sleeps: to wake it is the work of whoever writes to it, and the slower that is, the oftener.
const stayAwake = () => void (awake = setImmediate(stayAwake));
let awake = setImmediate(stayAwake);

/** A process that is moved between cores pays for it, and the load would be in the servers' way. */
function pin(pid: number, core: number): void {
  try {
    execFileSync("taskset", ["-a", "-p", "-c", String(core), String(pid)], { stdio: "ignore" });
  } catch {
    // Not on this system: the figures are less steady.
  }
}
pin(process.pid, 1);

const names = [...new Set(COMPARISONS.flatMap(({ ours, peer }) => [ours, peer]))];
const servers: { readonly name: string; readonly server: Server }[] = [];
try {
  for (let i = 0; i < PROCESSES; i++) {
    for (const name of names) servers.push({ name, server: await Server.start(name) });
  }
  for (let round = -WARM_UPS; round < ROUNDS; round++) {
    for (const { server } of servers) await server.round(round >= 0);
  }
  for (const { name, ours, peer, limit } of COMPARISONS) {
    const cost = [costOf(ours), costOf(peer)] as const;
    const ratio = cost[0] / cost[1];
    if (ratio > limit) process.exitCode = 1;
    console.log(
      `${(ratio <= limit ? "ok" : "OVER").padEnd(5)}${name.padEnd(54)} ` +
        `${cost[0].toFixed(0)} us of ${cost[1].toFixed(0)} us: ${ratio.toFixed(2)} of ${limit}`,
    );
  }
} finally {
  clearImmediate(awake);
  for (const { server } of servers) server.stop();
}

/** The middle one of its processes, each by its median. */
function costOf(name: string): number {
  const costs = servers.filter((one) => one.name === name).map(({ server }) => at(0.5, server.micros));
  return at(0.5, costs);
}

function at(share: number, of: readonly number[]): number {
  const sorted = [...of].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)]!;
}
