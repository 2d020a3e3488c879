import type { RequestListener } from "node:http";
import type { CloseReport } from "./close.js";
import { cluster } from "./cluster.js";
import { closingReason, type Listening, listen } from "./listen.js";
import { type FromPrimary, type FromWorker, mark, unmark } from "./messages.js";
import type { ServePlan } from "./options.js";
import { Pool } from "./pool.js";
import { beLed, endAll, exit, join } from "./process.js";
import { removerOf } from "./socket-file.js";

let pool: Pool | undefined;

/** In the primary: starts the workers, and represents them in this process. */
export async function lead(plan: ServePlan): Promise<Listening & { readonly workers: readonly number[] }> {
  if (pool === undefined || pool.isOver) pool = new Pool(plan);
  const crew = pool;
  const server = crew.add();
  const url = await crew.listening(server);
  const removeFile = "path" in plan.where ? removerOf(plan.where.path) : () => {};

  const begun = performance.now();
  let report: Promise<CloseReport> | undefined;
  const closing = new AbortController();
  let settle!: (report: CloseReport) => void;
  const closed = new Promise<CloseReport>((resolve) => {
    settle = resolve;
  });
  const close = (cause?: { readonly error: unknown }) => {
    if (report === undefined) {
      report = closed;
      const start = performance.now() - begun;
      const announce = () => closing.abort(closingReason());
      const delay = setTimeout(announce, plan.drain.delayMs); // each worker has the same delay
      crew.close(server, plan.drain).then((result) => {
        leave();
        clearTimeout(delay);
        announce();
        settle({ ...result, durationMs: performance.now() - begun - start, ...cause });
      });
    }
    return closed;
  };
  const { signals, onUncaught, logger } = plan;
  const abandon = () => {
    crew.kill();
    removeFile(); // the primary owns the socket
  };
  const leave = join({ url, signals, onUncaught, logger, close, abandon });
  return {
    url,
    get server(): never {
      throw new Error("serve(): the primary process has no server of its own; its workers have");
    },
    get workers() {
      return crew.pids;
    },
    closing: closing.signal,
    close,
    closed,
  };
}

/** `serve` calls so far: the primary and each worker make the same calls in the same order. */
let calls = 0;
let followed = 0;
/** Called when the primary has released this worker. */
let released: () => void = () => {};

/** In a worker: serves, and reports to the primary. */
export async function follow(app: RequestListener, plan: ServePlan): Promise<Listening> {
  const server = calls++;
  if (followed++ === 0) followPrimary();
  let listening: Listening;
  try {
    listening = await listen(app, plan, () => tell({ type: "closing" }));
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    tell({ type: "failed", server, message, code });
    throw error;
  }
  process.on("message", (message) => {
    const told = unmark<FromPrimary>(message);
    if (told?.type === "close" && told.server === server) listening.close();
  });
  listening.closed.then(({ error: _, ...report }) => {
    tell({ type: "closed", server, report });
    // The channel to the primary would keep the process alive.
    if (--followed === 0) exit(process.exitCode === 1 || report.forced ? 1 : 0);
  });
  tell({ type: "listening", server, url: listening.url });
  return listening;
}

function followPrimary(): void {
  beLed(async () => {
    if (!process.connected) return;
    await new Promise<void>((resolve) => {
      released = resolve;
      tell({ type: "farewell" });
      setTimeout(resolve, FAREWELL_MS).unref();
    });
  });
  process.on("message", (message) => {
    if (unmark<FromPrimary>(message)?.type === "farewell") released();
  });
  // Without its primary a worker gets no new connections, but it finishes those that it has.
  const { worker } = cluster();
  if (worker !== undefined) worker.exitedAfterDisconnect = true; // otherwise Node ends the process at once
  process.once("disconnect", endAll);
}

const FAREWELL_MS = 1_000;

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(mark(message), undefined, undefined, () => {});
}
