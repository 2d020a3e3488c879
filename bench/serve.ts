import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
// @ts-expect-error It has no types of its own.
import autocannon from "autocannon";

// Over loopback: each server in a process of its own, the load from this one; the CPU time of the server, divided by its
// requests. The rounds are interleaved, and the median of each counts, for the load generator shares the machine. Of each
// server there are several processes: one and the same program can be a fifth slower in one than in another.
const PROCESSES = 3;
const ROUNDS = 7;
const WARM_UPS = 3;
const REQUESTS = 4_000;
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
  private constructor(
    private readonly child: ChildProcess,
    private readonly port: number,
  ) {}

  static async start(name: string): Promise<Server> {
    const child = fork(fileURLToPath(new URL("serve-app.mjs", import.meta.url)), name.split(" "), {
      execArgv: [],
    });
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    return new Server(child, port);
  }

  async round(counts: boolean): Promise<void> {
    const before = await this.cpu();
    const { errors, non2xx } = await autocannon({
      url: `http://127.0.0.1:${this.port}/`,
      connections: CONNECTIONS,
      amount: REQUESTS,
      headers: HEADERS,
    });
    if (errors > 0 || non2xx > 0) throw new Error(`${errors} errors, ${non2xx} answers that are not 2xx`);
    if (counts) this.micros.push(((await this.cpu()) - before) / REQUESTS);
  }

  stop(): void {
    this.child.kill("SIGKILL");
  }

  private async cpu(): Promise<number> {
    this.child.send("cpu");
    const [{ user, system }] = (await once(this.child, "message")) as [NodeJS.CpuUsage];
    return user + system;
  }
}

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
  for (const { server } of servers) server.stop();
}

/** The median of all rounds of all its processes. */
function costOf(name: string): number {
  const micros = servers.filter((one) => one.name === name).flatMap(({ server }) => server.micros);
  return micros.sort((a, b) => a - b)[Math.floor(micros.length / 2)]!;
}
