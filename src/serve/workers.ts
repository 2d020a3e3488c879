import type { RequestListener } from "node:http";
import { cluster, type FromPrimary, type FromWorker, unwrap, wrap } from "./cluster.js";
import { closingReason, type Listening, listen } from "./listen.js";
import type { CloseReport, Served, ServeOptions } from "./options.js";
import { checkOptions, type ServePlan } from "./plan.js";
import { socketFileRemover } from "./server.js";
import { addParticipant, closeAll, exitWhenDone, runAsWorker } from "./signals.js";
import { WorkerPool } from "./worker-pool.js";

/** Runs `serve`. A module of its own, so that an app under test does not load the server's code. */
export async function start(app: RequestListener, options: ServeOptions | undefined): Promise<Served> {
  const plan = checkOptions(app, options);
  if (plan.workers === 1) return { ...(await listen(app, plan)), workers: [] };
  if (cluster().isPrimary) return startPrimary(plan);
  return { ...(await startWorker(app, plan)), workers: [] };
}

let pool: WorkerPool | undefined;

/** In the primary: starts the workers, and represents them in this process. */
async function startPrimary(plan: ServePlan): Promise<Listening & { readonly workers: readonly number[] }> {
  if (pool === undefined || pool.isOver) pool = new WorkerPool(plan);
  const workers = pool;
  const server = workers.add();
  const url = await workers.listening(server);
  const removeFile = "path" in plan.where ? socketFileRemover(plan.where.path) : () => {};

  let report: Promise<CloseReport> | undefined;
  const closing = new AbortController();
  let settle!: (report: CloseReport) => void;
  const closed = new Promise<CloseReport>((resolve) => {
    settle = resolve;
  });
  const close = (cause?: { readonly error: unknown }) => {
    if (report === undefined) {
      report = closed;
      const startedMs = performance.now();
      const announce = () => closing.abort(closingReason());
      const delay = setTimeout(announce, plan.drain.delayMs); // each worker has the same delay
      workers.close(server, plan.drain).then((result) => {
        leave();
        clearTimeout(delay);
        announce();
        settle({ ...result, durationMs: performance.now() - startedMs, ...cause });
      });
    }
    return closed;
  };
  const { signals, onUncaught, logger } = plan;
  const abandon = () => {
    workers.kill();
    removeFile(); // the primary owns the socket
  };
  const leave = addParticipant({ url, signals, onUncaught, logger, close, abandon });
  return {
    url,
    get server(): never {
      throw new Error("serve(): the primary process has no server of its own; its workers have");
    },
    get workers() {
      return workers.pids;
    },
    closing: closing.signal,
    close,
    closed,
  };
}

/** `serve` calls so far: the primary and each worker make the same calls in the same order. */
let calls = 0;
let openServers = 0;
/** Called when the primary has released this worker. */
let onReleased: () => void = () => {};

/** In a worker: serves, and reports to the primary. */
async function startWorker(app: RequestListener, plan: ServePlan): Promise<Listening> {
  const server = calls++;
  if (server === 0) connectToPrimary();
  openServers++;
  let listening: Listening;
  try {
    listening = await listen(app, plan, () => send({ type: "closing", server }));
  } catch (error) {
    openServers--;
    const { message, code } = error as NodeJS.ErrnoException;
    send({ type: "failed", server, message, code });
    throw error;
  }
  let stays = false;
  process.on("message", (message) => {
    const content = unwrap<FromPrimary>(message);
    if (content?.type !== "close" || content.server !== server) return;
    stays = content.stays;
    listening.close();
  });
  listening.closed.then(({ error: _, ...report }) => {
    send({ type: "closed", server, report });
    // The channel to the primary would keep the process alive.
    if (--openServers === 0 && !stays) exitWhenDone(process.exitCode === 1 || report.forced ? 1 : 0);
  });
  send({ type: "listening", server, url: listening.url });
  return listening;
}

function connectToPrimary(): void {
  runAsWorker(async () => {
    if (!process.connected) return;
    await new Promise<void>((resolve) => {
      onReleased = resolve;
      send({ type: "leaving" });
      setTimeout(resolve, RELEASE_MS).unref();
    });
  });
  process.on("message", (message) => {
    if (unwrap<FromPrimary>(message)?.type === "released") onReleased();
  });
  // Without its primary a worker gets no new connections, but it finishes those that it has.
  const { worker } = cluster();
  if (worker !== undefined) worker.exitedAfterDisconnect = true; // otherwise Node ends the process at once
  process.once("disconnect", closeAll);
}

const RELEASE_MS = 1_000;

function send(message: FromWorker): void {
  if (process.connected) process.send?.(wrap(message), undefined, undefined, () => {});
}
