import type { Request } from "express";
import { warnOfLate } from "../lib/express/late-errors.js";
import { callObserver } from "../lib/log/callback-faults.js";
import type { Logger } from "../lib/log/logger.js";
import { requestFields } from "../lib/log/request-fields.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { stateOf } from "../lib/request/state.js";
import { describeThrown } from "../lib/values/thrown.js";
import type { TimeoutPlan } from "./options.js";

/** Makes the function that reports the late errors of one request. */
export function lateErrors({ onLate }: TimeoutPlan, req: Request) {
  return (error: unknown, logger?: Logger): void => {
    if (onLate === undefined) {
      warnOfLate(req, error, stateOf(req).reason, "request failed after it had timed out", logger);
      return;
    }
    callObserver(
      () => onLate(error, req),
      (fault) =>
        stderrLogger.error({ ...requestFields(req), error: describeThrown(fault) }, "timeout: onLate threw"),
    );
  };
}
