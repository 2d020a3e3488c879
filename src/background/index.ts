import { appLoggerOf } from "../lib/log/app-logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { errorInLine, inLine } from "../lib/log/text.js";
import { currentState } from "../lib/request/scope.js";
import { register } from "../lib/request/tasks.js";
import { describeThrown } from "../lib/values/thrown.js";
import { type BackgroundOptions, checkCall } from "./options.js";

export type { BackgroundOptions } from "./options.js";

/**
 * Runs work that goes on after the response, or outside any request. The promise is fulfilled when the task has ended
 * and never rejects: a failure is logged, with the task's name and the id of the request in which it was started. A
 * shutdown (`serve`) waits for the task until its deadline, and then aborts the signal.
 *
 * Can be called anywhere, in a handler or outside. The task starts at once. Its errors never answer the request. Errors
 * in a timer or an emitter that the task sets up are not caught.
 *
 * @example
 * app.post("/orders", (req, res) => {
 *   void background("send the confirmation", (signal) => sendMail(req.body, { signal }));
 *   res.status(202).json({ accepted: true });
 * });
 *
 * @example
 * await background("warm the cache", async () => cache.set("rates", await fetchRates()), { logger });
 *
 * @param name the task's name in the log and in the report of a shutdown
 * @throws {ConfigError} names all problems of the arguments, at the call
 * @see docs/background.md
 */
export function background(
  name: string,
  task: (signal: AbortSignal) => unknown,
  options?: BackgroundOptions,
): Promise<void> {
  const { logger, signal } = checkCall(name, task, options);
  const requestState = currentState();
  const controller = new AbortController();
  const unregister = register({ name, controller });
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });

  return run(task, controller.signal)
    .catch((error: unknown) => {
      const target = logger ?? (requestState?.res && appLoggerOf(requestState.res.req)) ?? stderrLogger;
      const requestId = requestState?.id;
      target.error(
        { task: name, ...(requestId !== undefined && { requestId }), error: describeThrown(error) },
        `background task failed: ${inLine(name)}: ${errorInLine(error)}`,
      );
    })
    .finally(() => {
      signal?.removeEventListener("abort", abort);
      unregister();
    });
}

/** Turns a synchronous throw of the task into a rejection. */
async function run(task: (signal: AbortSignal) => unknown, signal: AbortSignal): Promise<void> {
  await task(signal);
}
