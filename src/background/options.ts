import { Checker } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import { guarded } from "../lib/log/stderr-logger.js";

export interface BackgroundOptions {
  /** Where a failure is logged. Default: where the request's `recover` logs, else standard error. */
  readonly logger?: Logger | undefined;
  /** Aborts the task's own signal when it aborts: `contextOf(req).signal` for work that nobody wants without its client. */
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
    checker.add("task", "must be a function (signal) => Promise; a promise is already under way", task);
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
