import type { MessagePort } from "node:worker_threads";
import { OffloadError } from "./errors.js";

/** The argument of the function in worker.cjs. */
export interface ThreadCall {
  readonly id: number;
  readonly href: string;
  /** Has the input queued; the reply comes back through it. */
  readonly port: MessagePort;
}

export interface ThreadPool {
  /** Settles when the thread is free again; rejects if it died or the signal ended it. */
  run(call: ThreadCall, signal: AbortSignal): Promise<unknown>;
}

export interface PoolEvents {
  /** The module is loaded and the task begins. */
  started(id: number): void;
  /** No thread could be started and none is left, so the tasks that were passed to the pool will never run. */
  lost(error: unknown): void;
}

/** Makes a pool without threads. A task that finds no free thread starts one, which is kept. */
export async function startThreads(threads: number, events: PoolEvents): Promise<ThreadPool> {
  const filename = workerFile();
  const Piscina = await loadPiscina();
  const pool = new Piscina({
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    // An idle thread must not sleep on a lock: what a task left behind (a timer) would then run, and fail, in the next task.
    atomics: "disabled",
    recordTiming: false,
  });
  pool.on("message", (message: { offloadStarted?: number } | null) => {
    if (message?.offloadStarted !== undefined) events.started(message.offloadStarted);
  });
  // Without a listener, an idle thread that dies would end the process.
  pool.on("error", (error: unknown) => {
    if (pool.threads.length === 0) events.lost(error);
  });
  // The file is given with each task, not to the pool: a file that fails while a thread starts would break the pool.
  return {
    run: (call, signal) => pool.run(call, { filename, signal, transferList: [call.port] }),
  };
}

async function loadPiscina() {
  try {
    return (await import("piscina")).Piscina;
  } catch (cause) {
    throw new OffloadError(
      "ERR_OFFLOAD_PISCINA",
      "the package piscina, version 5, is needed and could not be loaded. Run: npm install piscina",
      { cause },
    );
  }
}

function workerFile(): string {
  const path = process.getBuiltinModule("node:path").join(ownFolder(), "worker.cjs");
  if (!process.getBuiltinModule("node:fs").existsSync(path)) {
    throw new OffloadError(
      "ERR_OFFLOAD_MODULE",
      `its own file ${path} is missing. A bundler must leave out express-portico and piscina (esbuild: --packages=external)`,
    );
  }
  return path;
}

/** ES modules have no `__dirname`: the folder is read from the call site. */
function ownFolder(): string {
  if (typeof __dirname === "string") return __dirname;
  const { prepareStackTrace } = Error;
  try {
    Error.prepareStackTrace = (_error, sites) => sites[0]?.getFileName();
    const href = String(new Error().stack);
    const { fileURLToPath } = process.getBuiltinModule("node:url");
    return process
      .getBuiltinModule("node:path")
      .dirname(href.startsWith("file:") ? fileURLToPath(href) : href);
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
  }
}
