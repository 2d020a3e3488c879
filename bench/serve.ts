import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Loopback } from "./loopback.js";

// Over loopback: each server is a process, and this process makes the load. The figure is the CPU time of the server divided by
// its requests. Rounds are short and interleaved, and the median round of each process counts. Each server has several
// processes, and the median process counts, because the same program can be a fifth slower in one process than in another.
const PROCESSES = 5;
const ROUNDS = 24;
const WARM_UPS = 8;
const REQUESTS = 2_000;
const CONNECTIONS = 20;
const HEADERS = { origin: "https://app.example", "x-api-key": "k" };

const COMPARISONS = [
  { name: "bare route: serve, of app.listen", ours: "bare serve", peer: "bare listen", limit: 0.45 },
  {
    name: "five middleware under serve, of morgan + helmet + cors",
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
    // Opened late, because the server closes idle connections.
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

// This process never sleeps: waking it would cost the server's CPU time, and a slower server would wake it more often.
const stayAwake = () => void (awake = setImmediate(stayAwake));
let awake = setImmediate(stayAwake);

/** Moving a process between cores costs time, and the load must not run on the servers' core. */
function pin(pid: number, core: number): void {
  try {
    execFileSync("taskset", ["-a", "-p", "-c", String(core), String(pid)], { stdio: "ignore" });
  } catch {
    // taskset is not on this system: the figures vary more.
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

/** The median of its processes, each by its median round. */
function costOf(name: string): number {
  const costs = servers.filter((one) => one.name === name).map(({ server }) => at(0.5, server.micros));
  return at(0.5, costs);
}

function at(share: number, of: readonly number[]): number {
  const sorted = [...of].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)]!;
}
