import { Checker } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import { guarded } from "../lib/log/stderr-logger.js";

export interface BackgroundOptions {
  /**
   * Logs a failure.
   *
   * @defaultValue the logger of the request's `recover`, else standard error
   */
  readonly logger?: Logger | undefined;
  /** When it aborts, so does the task's signal: `contextOf(req).signal` for work that is useless when the client has left. */
  readonly signal?: AbortSignal | undefined;
}

export interface BackgroundPlan {
  readonly logger: Logger | undefined;
  readonly signal: AbortSignal | undefined;
}

export function checkCall(
  name: unknown,
  task: unknown,
  options: BackgroundOptions | undefined,
): BackgroundPlan {
  refuseRequest("background()", name);
  const checker = Checker.of("background()", options, [
    "logger",
    "signal",
  ] satisfies (keyof BackgroundOptions)[]);
  if (typeof name !== "string" || name.trim() === "") {
    checker.add("name", 'must say what the task does: background("send the mail", task)', name);
  }
  if (typeof task !== "function") {
    checker.add("task", "must be a function (signal) => Promise; a promise has already started", task);
  }
  const logger = checkLogger(checker);
  const signal = checker.options.signal as AbortSignal | undefined;
  if (
    signal !== undefined &&
    typeof (signal as Partial<AbortSignal> | null)?.addEventListener !== "function"
  ) {
    checker.add("signal", "must be an AbortSignal");
  }
  checker.done();
  return { logger: logger && guarded(logger), signal };
}
