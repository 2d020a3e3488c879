/** A background task that has not ended. */
interface Task {
  readonly name: string;
  readonly controller: AbortController;
}

interface Registry {
  readonly tasks: Set<Task>;
  readonly waiting: Set<() => void>;
}

// The tasks belong to the process: a shutdown must know of those of a second installed copy as well.
const KEY = Symbol.for("express-portico/tasks/1");

function registry(): Registry {
  const holder = globalThis as { [KEY]?: Registry };
  return (holder[KEY] ??= { tasks: new Set(), waiting: new Set() });
}

/** Takes note of a task; the function that is returned is to be called when it has ended. */
export function register(task: Task): () => void {
  const { tasks, waiting } = registry();
  tasks.add(task);
  return () => {
    if (!tasks.delete(task) || tasks.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
}

/** The names of the tasks that have not ended. */
export function pendingTasks(): readonly string[] {
  return [...registry().tasks].map(({ name }) => name);
}

/**
 * Fulfilled when no task is left, and whoever has waited for the last one has had a turn to start the next
 * (`await background("first"); await background("second")`).
 */
export async function whenIdle(): Promise<void> {
  const { tasks, waiting } = registry();
  do {
    if (tasks.size > 0) await new Promise<void>((resolve) => waiting.add(resolve));
    await new Promise(setImmediate);
  } while (tasks.size > 0);
}

/** Aborts the signal of every task: the shutdown has reached its deadline. */
export function abortTasks(reason: unknown): void {
  for (const { controller } of registry().tasks) controller.abort(reason);
}
