import { refuseRequest } from "../lib/config/not-called.js";
import { readOptions, type SchemaOf, valid } from "../lib/config/schema.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import { guarded } from "../lib/log/stderr-logger.js";

export interface BackgroundOptions {
  /** Logs a failure. @defaultValue the logger of the request's `recover`, else standard error */
  readonly logger?: Logger | undefined;
  /**
   * When it aborts, so does the task's signal. Use `contextOf(req).signal` for work that only the client needs.
   * @defaultValue none
   */
  readonly signal?: AbortSignal | undefined;
}

export const OPTIONS = () =>
  ({
    logger: checkLogger,
    signal: valid(
      (value) => typeof (value as Partial<AbortSignal> | null)?.addEventListener === "function",
      "must be an AbortSignal",
    ),
  }) satisfies SchemaOf<BackgroundOptions>;

export function checkCall(name: unknown, task: unknown, options: BackgroundOptions | undefined) {
  refuseRequest("background()", name);
  const { checker, plan } = readOptions("background()", OPTIONS, options);
  if (typeof name !== "string" || name.trim() === "") {
    checker.add("name", 'must say what the task does: background("send the mail", task)', name);
  }
  if (typeof task !== "function") {
    checker.add("task", "must be a function (signal) => Promise; a promise has already started", task);
  }
  return checker.done({ ...plan, logger: plan.logger && guarded(plan.logger) });
}
