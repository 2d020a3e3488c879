import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Exchange, Loopback } from "./loopback.js";

const CONNECTIONS = 20;
const PROGRAM = fileURLToPath(new URL("server.mjs", import.meta.url));

interface Usage {
  readonly cpu: NodeJS.CpuUsage;
  readonly memory: NodeJS.MemoryUsage;
}

/** A server in a process of its own, and the connections to it. */
export class ServerProcess {
  /** Microseconds of CPU time per request, one for each round that counts. */
  readonly micros: number[] = [];
  private loopback: Loopback | undefined;
  private constructor(
    readonly name: string,
    private readonly child: ChildProcess,
    private readonly port: number,
    private readonly exchange: Exchange,
  ) {}

  static async start(name: string, node: string, exchange: Exchange): Promise<ServerProcess> {
    const child = fork(PROGRAM, name.split(" "), { execPath: node, execArgv: ["--expose-gc"] });
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    pin(child.pid!, 0);
    return new ServerProcess(name, child, port, exchange);
  }

  async round(requests: number, counts: boolean): Promise<void> {
    const loopback = await this.connected();
    const before = (await this.ask("cpu")).cpu;
    await loopback.ask(requests);
    const { user, system } = (await this.ask("cpu")).cpu;
    if (counts) this.micros.push((user + system - before.user - before.system) / requests);
  }

  /** The 99th percentile of the milliseconds that requests take which arrive at a fixed rate. */
  async p99(perSecond: number, requests: number): Promise<number> {
    const loopback = await this.connected();
    const taken = await loopback.rate(perSecond, requests);
    return taken.sort()[Math.floor(requests * 0.99)]!;
  }

  /** Megabytes in use after a garbage collection, and of the whole process. */
  async memory(): Promise<{ readonly heap: number; readonly rss: number }> {
    const { memory } = await this.ask("heap");
    return { heap: memory.heapUsed / 1e6, rss: memory.rss / 1e6 };
  }

  stop(): void {
    this.loopback?.close();
    this.child.kill("SIGKILL");
  }

  /** Connects late, because the server closes idle connections. */
  private async connected(): Promise<Loopback> {
    this.loopback ??= await Loopback.open(this.port, CONNECTIONS, this.exchange);
    return this.loopback;
  }

  private async ask(question: "cpu" | "heap"): Promise<Usage> {
    this.child.send(question);
    const [usage] = (await once(this.child, "message")) as [Usage];
    return usage;
  }
}

/** Moving a process between cores costs time, and the load must not run on the servers' core. */
export function pin(pid: number, core: number): void {
  try {
    execFileSync("taskset", ["-a", "-p", "-c", String(core), String(pid)], { stdio: "ignore" });
  } catch {
    // taskset is not on this system: the figures vary more.
  }
}
