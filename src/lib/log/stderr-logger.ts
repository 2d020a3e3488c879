import { describeThrown, disregard } from "../values/thrown.js";
import type { Logger } from "./logger.js";
import { readable, visible } from "./text.js";

/**
 * Where a concern's messages go when no logger is given: standard error, a block that reads well on a terminal, one
 * line of JSON anywhere else.
 */
export const stderrLogger: Logger = {
  debug: (fields, message) => write("debug", fields, message),
  info: (fields, message) => write("info", fields, message),
  warn: (fields, message) => write("warn", fields, message),
  error: (fields, message) => write("error", fields, message),
};

/**
 * A logger that never throws: what the given one could not take goes to standard error, with its own fault. Without
 * one, standard error it is.
 */
export function guarded(logger: Logger | undefined): Logger {
  if (logger === undefined) return stderrLogger;
  const guard = (level: keyof Logger) => (fields: object, message: string) => {
    try {
      disregard(logger[level](fields, message));
    } catch (fault) {
      stderrLogger.error({ error: describeThrown(fault) }, "the logger threw; what it was given follows");
      stderrLogger[level](fields, message);
    }
  };
  return { debug: guard("debug"), info: guard("info"), warn: guard("warn"), error: guard("error") };
}

function write(level: string, fields: object, message: string): void {
  try {
    const text = process.stderr.isTTY
      ? `${level}: ${readable(fields, message)}`
      : asLine(level, fields, message);
    // A broken pipe is an 'error' event, which ends the process if nobody listens to it.
    if (process.stderr.listenerCount("error") === 0) process.stderr.on("error", ignore);
    process.stderr.write(`${text}\n`, ignore);
  } catch {
    // Standard error is the last resort: there is nobody left to tell.
  }
}

function ignore(): void {}

function asLine(level: string, fields: object, message: string): string {
  return visible(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }));
}
