import type { IncomingMessage } from "node:http";
import { appLoggerOf } from "../lib/log/app-logger.js";
import { requestFields } from "../lib/log/request-fields.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { failureMessage } from "../lib/log/text.js";
import { describeThrown } from "../lib/values/thrown.js";

/** Logs an error that no error handler can get: to the logger of the app's `recover`, else standard error. */
export function reportFault(req: IncomingMessage, fault: unknown, message: string): void {
  (appLoggerOf(req) ?? stderrLogger).error(
    { ...requestFields(req), error: describeThrown(fault) },
    failureMessage(message, req, fault),
  );
}
