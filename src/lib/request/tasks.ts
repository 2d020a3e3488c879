/** A background task that is still running. */
interface Task {
  readonly name: string;
  readonly controller: AbortController;
}

interface Registry {
  readonly tasks: Set<Task>;
  readonly waiting: Set<() => void>;
}

// Registered, because a shutdown must know the tasks of a second installed copy too.
const KEY = Symbol.for("express-portico/tasks/1");

function registry(): Registry {
  const holder = globalThis as { [KEY]?: Registry };
  return (holder[KEY] ??= { tasks: new Set(), waiting: new Set() });
}

/** Registers a task. Call the returned function when it has ended. */
export function register(task: Task): () => void {
  const { tasks, waiting } = registry();
  tasks.add(task);
  return () => {
    if (!tasks.delete(task) || tasks.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
}

/** The names of the tasks that are still running. */
export function pendingTasks(): readonly string[] {
  return [...registry().tasks].map(({ name }) => name);
}

/**
 * Resolves when no task is running. Code that waited for the last task gets a turn to start the next one
 * (`await background("first"); await background("second")`).
 */
export async function whenIdle(): Promise<void> {
  const { tasks, waiting } = registry();
  do {
    if (tasks.size > 0) await new Promise<void>((resolve) => waiting.add(resolve));
    await new Promise(setImmediate);
  } while (tasks.size > 0);
}

/** Aborts the signals of all tasks when the shutdown has reached its deadline. */
export function abortTasks(reason: unknown): void {
  for (const { controller } of registry().tasks) controller.abort(reason);
}
