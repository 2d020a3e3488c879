import type { IncomingMessage } from "node:http";
import { stderrLogger } from "../config/stderr-logger.js";
import { appLoggerOf } from "../http/app-logger.js";
import { factsOf } from "../http/facts.js";
import { failureMessage } from "../http/failure-message.js";
import { pathOf } from "../http/target.js";
import { describeThrown } from "../http/thrown.js";

/** Tells of a fault that no handler can be told of: to the logger of the app's `recover`, else standard error. */
export function reportFault(req: IncomingMessage, fault: unknown, message: string): void {
  const requestId = factsOf(req).id;
  const about = { method: req.method, path: pathOf(req), ...(requestId !== undefined && { requestId }) };
  (appLoggerOf(req) ?? stderrLogger).error(
    { ...about, error: describeThrown(fault) },
    failureMessage(message, req, fault),
  );
}
