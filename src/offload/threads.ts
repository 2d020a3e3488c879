import type { MessagePort } from "node:worker_threads";
import { OffloadError } from "./errors.js";

/** What is handed to a thread: see worker.cjs, which takes it. */
export interface Call {
  readonly id: number;
  readonly href: string;
  /** Holds the input; the reply comes back on its other end. */
  readonly port: MessagePort;
}

export interface Threads {
  /** Settles when the thread is free again; rejects if it died, or was ended by the signal. */
  run(call: Call, signal: AbortSignal): Promise<unknown>;
}

export interface ThreadEvents {
  /** The module is loaded, and the task begins. */
  started(id: number): void;
  /** No thread could be started, and none is left: nobody will come for the tasks that were handed over. */
  lost(error: unknown): void;
}

/** A pool with no thread yet: each is started by the first task that finds none free, and is kept. */
export async function startThreads(threads: number, events: ThreadEvents): Promise<Threads> {
  const filename = workerFile();
  const Piscina = await loadPiscina();
  const pool = new Piscina({
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    // An idle thread must not sleep on a lock: what a task left behind would wake up, and fail, within the next one.
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
  // The file is given with each task, not to the pool: a pool does not survive a file that fails while a thread starts.
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
      "it needs the package piscina, version 5, which could not be loaded. Run: npm install piscina",
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

/** ES modules have no `__dirname`: the call site tells. */
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
