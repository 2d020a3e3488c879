import { currentState } from "../context/scope.js";
import { register } from "../context/tasks.js";
import { appLoggerOf } from "../lib/log/app-logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { errorInLine, inLine } from "../lib/log/text.js";
import { describeThrown } from "../lib/values/thrown.js";
import { type BackgroundOptions, checkCall } from "./options.js";

export type { BackgroundOptions } from "./options.js";

/**
 * Runs work that goes on after the response, or belongs to none. The promise is fulfilled when the task has ended and
 * never rejects: a failure is logged, with the task's name and the id of the request it was started in. A shutdown
 * (`serve`) waits for it until its deadline, and then aborts the signal.
 *
 * Anywhere: in a handler, or outside of one. It starts at once. An error in it never answers the request. What it
 * leaves behind in a timer or an emitter of its own is not caught here.
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
 * @param name what the log and the report of a shutdown call it
 * @throws {ConfigError} at once, all that is wrong with the arguments
 */
export function background(
  name: string,
  task: (signal: AbortSignal) => unknown,
  options?: BackgroundOptions,
): Promise<void> {
  const { logger, signal } = checkCall(name, task, options);
  const state = currentState();
  const controller = new AbortController();
  const ended = register({ name, controller });
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });

  return run(task, controller.signal)
    .catch((error: unknown) => {
      const target = logger ?? (state?.res && appLoggerOf(state.res.req)) ?? stderrLogger;
      const requestId = state?.id;
      target.error(
        { task: name, ...(requestId !== undefined && { requestId }), error: describeThrown(error) },
        `background task failed: ${inLine(name)}: ${errorInLine(error)}`,
      );
    })
    .finally(() => {
      signal?.removeEventListener("abort", abort);
      ended();
    });
}

/** A throw of the task's first turn is a rejection too. */
async function run(task: (signal: AbortSignal) => unknown, signal: AbortSignal): Promise<void> {
  await task(signal);
}
