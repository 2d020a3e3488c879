import { AsyncResource } from "node:async_hooks";
import { OffloadError, queueFull, timedOut, workerDied } from "./errors.js";
import type { OffloadPlan } from "./options.js";
import { Task } from "./task.js";
import { startThreads, type ThreadPool } from "./threads.js";

/** Time for starting a thread and loading the module, which does not count as time of the task. */
const STARTUP_MS = 30_000;

/**
 * The queue of tasks. The threads never get more tasks than there are threads, so this class alone decides about the
 * queue, its limit, and tasks that leave it.
 */
export class Pool {
  readonly #plan: OffloadPlan;
  readonly #running = new Map<number, Task>();
  readonly #waiting = new Set<Task>();
  /** Threads outlive the request that starts them, so they must not keep its async context. */
  readonly #asyncScope = new AsyncResource("express-portico.offload");
  #threads: Promise<ThreadPool> | undefined;

  constructor(plan: OffloadPlan) {
    this.#plan = plan;
  }

  async run(input: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    if (signal?.aborted) throw signal.reason;
    const { file, threads, maxQueue } = this.#plan;
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
      this.#limit(task, STARTUP_MS + this.#plan.timeoutMs);
      void this.#runOnThread(task).then(() => {
        this.#running.delete(task.id);
        for (const next of this.#waiting) {
          if (this.#running.size >= this.#plan.threads) break;
          this.#waiting.delete(next);
          this.#start(next);
        }
      });
    });
  }

  /** Fulfils when the thread is free again, whether the task succeeded or not. */
  async #runOnThread(task: Task): Promise<void> {
    const { href, file } = this.#plan;
    try {
      const threads = await (this.#threads ??= this.#startThreads());
      await threads.run({ id: task.id, href, port: task.port }, task.ended);
      task.finish();
    } catch (error) {
      task.fail(error instanceof OffloadError ? error : workerDied(file, error));
    }
  }

  async #startThreads(): Promise<ThreadPool> {
    try {
      return await startThreads(this.#plan.threads, {
        started: (id) => {
          const task = this.#running.get(id);
          if (task !== undefined) this.#limit(task, this.#plan.timeoutMs);
        },
        lost: (error) => {
          for (const task of [...this.#running.values()]) task.fail(workerDied(this.#plan.file, error));
        },
      });
    } catch (error) {
      this.#threads = undefined; // the next task tries again
      throw error;
    }
  }

  #limit(task: Task, ms: number): void {
    const { file, timeoutMs } = this.#plan;
    task.limit(ms, () => this.#cancel(task, timedOut(file, timeoutMs)));
  }

  #cancel(task: Task, reason: unknown): void {
    this.#waiting.delete(task);
    task.fail(reason);
  }
}
