import type { IncomingMessage } from "node:http";
import { pathOf } from "../lib/http/target.js";
import { appLoggerOf } from "../lib/log/app-logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { failureMessage } from "../lib/log/text.js";
import { stateOf } from "../lib/request/state.js";
import { describeThrown } from "../lib/values/thrown.js";

/** Logs an error that no error handler can get: to the logger of the app's `recover`, else standard error. */
export function reportFault(req: IncomingMessage, fault: unknown, message: string): void {
  const requestId = stateOf(req).id;
  const about = { method: req.method, path: pathOf(req), ...(requestId !== undefined && { requestId }) };
  (appLoggerOf(req) ?? stderrLogger).error(
    { ...about, error: describeThrown(fault) },
    failureMessage(message, req, fault),
  );
}
