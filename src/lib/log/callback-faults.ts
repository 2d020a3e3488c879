import type { IncomingMessage } from "node:http";
import { describeThrown, isThenable } from "../values/thrown.js";
import { appLoggerOf } from "./app-logger.js";
import { requestFields } from "./request-fields.js";
import { stderrLogger } from "./stderr-logger.js";
import { failureMessage } from "./text.js";

/**
 * Calls a function of the app's own that only looks on. What it throws or rejects with goes to standard error, once for
 * each handler that is made: what fails, fails for every request. The request goes on as if it had not been called.
 *
 * @param name what the message calls it: `authenticate: the option onReject`
 */
export function guardObserver<A extends unknown[]>(
  name: string,
  observer: ((...args: A) => unknown) | undefined,
): ((...args: A) => void) | undefined {
  if (observer === undefined) return undefined;
  let hasFailed = false;
  const failed = (fault: unknown) => {
    if (hasFailed) return;
    hasFailed = true;
    stderrLogger.warn(
      { error: describeThrown(fault) },
      `${name} threw (told once; requests are not affected)`,
    );
  };
  return (...args) => {
    try {
      const result = observer(...args);
      if (isThenable(result)) Promise.resolve(result).then(undefined, failed);
    } catch (fault) {
      failed(fault);
    }
  };
}

/** Logs an error that no error handler can get: to the logger of the app's `recover`, else standard error. */
export function reportFault(req: IncomingMessage, fault: unknown, message: string): void {
  (appLoggerOf(req) ?? stderrLogger).error(
    { ...requestFields(req), error: describeThrown(fault) },
    failureMessage(message, req, fault),
  );
}

const told = new Set<string>();

/**
 * Emits a process warning, once per process for each code: for a fault in the wiring that only a request shows.
 * Node prints it on standard error; `--disable-warning=CODE` turns it off, `process.on("warning")` hears it.
 */
export function warnOnce(code: `PORTICO_${string}`, message: string): void {
  if (told.has(code)) return;
  told.add(code);
  process.emitWarning(message, { type: "PorticoWarning", code });
}
