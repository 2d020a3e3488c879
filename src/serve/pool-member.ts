import type { Worker } from "node:cluster";
import { type FromPrimary, wrap } from "./cluster.js";
import type { CloseReport } from "./options.js";

export type Report = Pick<CloseReport, "forced" | "tasksLeft">;

/** A worker that ends sooner than this counts as failed to start: its successor starts after a pause. */
const SHORT_LIFE_MS = 5_000;

/** When a worker was started, or could not be started. */
export class Start {
  /** Its successor has been started, or starts after a pause. */
  isReplaced = false;

  constructor(private readonly atMs: number) {}

  get hasLivedLong(): boolean {
    return performance.now() - this.atMs >= SHORT_LIFE_MS;
  }
}

/** One worker, as its primary sees it. */
export class Member extends Start {
  /** The address of each of its servers. */
  readonly urls = new Map<number, string>();
  readonly reports = new Map<number, Report>();
  /** The servers that it was told to close. */
  readonly told = new Set<number>();

  constructor(
    atMs: number,
    readonly worker: Worker,
  ) {
    super(atMs);
  }

  get pid(): number | undefined {
    return this.worker.process.pid;
  }

  send(message: FromPrimary): void {
    this.worker.send(wrap(message), ignore);
  }

  tellToClose(server: number, stays: boolean): void {
    this.told.add(server);
    this.send({ type: "close", server, stays });
  }

  /** A process that was not started has no id: Node 20 would kill this process and its group in its place. */
  kill(): void {
    if (this.pid !== undefined) this.worker.process.kill("SIGKILL");
  }
}

function ignore(): void {}
