import { AsyncResource } from "node:async_hooks";
import type { MessagePort } from "node:worker_threads";
import { OffloadError, queueFull, timedOut, workerDied } from "./errors.js";
import type { OffloadPlan } from "./options.js";
import { Task } from "./task.js";

/** Time for starting a thread and loading the module, which does not count as time of the task. */
const STARTUP_MS = 30_000;

/**
 * The queue of tasks. The threads never get more tasks than there are threads, so only this class decides about the
 * queue, its limit, and tasks that leave it.
 */
export class Pool {
  readonly #running = new Map<number, Task>();
  readonly #waiting = new Set<Task>();
  /** Threads outlive the request that starts them, so they must not keep its async context. */
  readonly #asyncScope = new AsyncResource("express-portico.offload");
  #threads: Promise<RunOnThread> | undefined;

  constructor(private readonly plan: OffloadPlan) {}

  async run(input: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    if (signal?.aborted) throw signal.reason;
    const { file, threads, maxQueue } = this.plan;
    const isFree = this.#running.size < threads;
    if (!isFree && this.#waiting.size >= maxQueue) throw queueFull(file, maxQueue);
    const task = new Task(file, input);
    if (signal !== undefined) task.listenForAbort(signal, () => this.#cancel(task, signal.reason));
    if (isFree) this.#start(task);
    else this.#waiting.add(task);
    return task.promise;
  }

  #start(task: Task): void {
    this.#running.set(task.id, task);
    this.#asyncScope.runInAsyncScope(() => {
      this.#limit(task, STARTUP_MS + this.plan.timeoutMs);
      void this.#runTask(task).then(() => {
        this.#running.delete(task.id);
        for (const next of this.#waiting) {
          if (this.#running.size >= this.plan.threads) break;
          this.#waiting.delete(next);
          this.#start(next);
        }
      });
    });
  }

  /** Fulfils when the thread is free again, whether the task succeeded or not. */
  async #runTask(task: Task): Promise<void> {
    const { href, file } = this.plan;
    try {
      const runOnThread = await (this.#threads ??= this.#startThreads().catch((error) => {
        this.#threads = undefined; // the next task tries again
        throw error;
      }));
      await runOnThread({ id: task.id, href, port: task.port }, task.ended);
      task.finish();
    } catch (error) {
      task.fail(error instanceof OffloadError ? error : workerDied(file, error));
    }
  }

  /** Loads piscina and makes a pool without threads. A task that finds no free thread starts one, which is kept. */
  async #startThreads(): Promise<RunOnThread> {
    const filename = workerFile();
    const Piscina = await loadPiscina();
    const pool = new Piscina({
      minThreads: 0,
      maxThreads: this.plan.threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      // An idle thread must not sleep on a lock: a timer that a task left behind would then run, and fail, in the next task.
      atomics: "disabled",
      recordTiming: false,
    });
    pool.on("message", (message: { offloadStarted?: number } | null) => {
      if (message?.offloadStarted === undefined) return;
      const task = this.#running.get(message.offloadStarted);
      if (task !== undefined) this.#limit(task, this.plan.timeoutMs);
    });
    // Without a listener, an idle thread that dies would end the process. Without any thread, no task can run.
    pool.on("error", (error: unknown) => {
      if (pool.threads.length > 0) return;
      for (const task of [...this.#running.values()]) task.fail(workerDied(this.plan.file, error));
    });
    // The file is given with each task, not to the pool: a file that fails while a thread starts would break the pool.
    return (call, signal) => pool.run(call, { filename, signal, transferList: [call.port] });
  }

  #limit(task: Task, ms: number): void {
    const { file, timeoutMs } = this.plan;
    task.limit(ms, () => this.#cancel(task, timedOut(file, timeoutMs)));
  }

  #cancel(task: Task, reason: unknown): void {
    this.#waiting.delete(task);
    task.fail(reason);
  }
}

/** The argument of the function in worker.cjs. */
interface ThreadCall {
  readonly id: number;
  readonly href: string;
  /** Has the input queued; the reply comes back through it. */
  readonly port: MessagePort;
}

/** Runs a task on a thread; settles when the thread is free again, rejects if it died or the signal ended it. */
type RunOnThread = (call: ThreadCall, signal: AbortSignal) => Promise<unknown>;

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
