import type { IncomingMessage } from "node:http";
import { describeThrown, isThenable } from "../values/thrown.js";
import { appLoggerOf } from "./app-logger.js";
import { requestFields } from "./request-fields.js";
import { stderrLogger } from "./stderr-logger.js";
import { failureMessage } from "./text.js";

/**
 * Wraps an observer, a function of the app that takes no part in the request. What it throws or rejects with is reported
 * on standard error, once for each handler, as it would fail for every request. The request is not affected.
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
      `${name} threw (reported once; requests are not affected)`,
    );
  };
  return (...args) => callObserver(() => observer(...args), failed);
}

/** Calls an observer once, and passes what it throws or rejects with to `report`. */
export function callObserver(observer: () => unknown, report: (fault: unknown) => void): void {
  try {
    const result = observer();
    if (isThenable(result)) Promise.resolve(result).then(undefined, report);
  } catch (fault) {
    report(fault);
  }
}

/** Logs an error that no error handler can get: to the logger of the app's `recover`, else standard error. */
export function reportFault(req: IncomingMessage, fault: unknown, message: string): void {
  (appLoggerOf(req) ?? stderrLogger).error(
    { ...requestFields(req), error: describeThrown(fault) },
    failureMessage(message, req, fault),
  );
}

const warned = new Set<string>();

/**
 * Emits a process warning, once per process for each code, for a mistake in the app that only a request shows.
 * Node prints it on standard error; `--disable-warning=CODE` turns it off, `process.on("warning")` receives it.
 */
export function warnOnce(code: `PORTICO_${string}`, message: string): void {
  if (warned.has(code)) return;
  warned.add(code);
  process.emitWarning(message, { type: "PorticoWarning", code });
}
