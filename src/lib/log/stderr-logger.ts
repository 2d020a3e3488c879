import { describeThrown, disregard } from "../values/thrown.js";
import type { Logger } from "./logger.js";
import { readable, visible } from "./text.js";

/**
 * The logger if none is given: it writes to standard error, readable text on a terminal, one line of JSON elsewhere.
 */
export const stderrLogger: Logger = {
  debug: (fields, message) => write("debug", fields, message),
  info: (fields, message) => write("info", fields, message),
  warn: (fields, message) => write("warn", fields, message),
  error: (fields, message) => write("error", fields, message),
};

/**
 * A logger that never throws: if the given one throws, the message goes to standard error, with the logger's error. If
 * none is given, it is `stderrLogger`.
 */
export function guarded(logger: Logger | undefined): Logger {
  if (logger === undefined) return stderrLogger;
  const guard = (level: keyof Logger) => (fields: object, message: string) => {
    try {
      disregard(logger[level](fields, message));
    } catch (fault) {
      stderrLogger.error({ error: describeThrown(fault) }, "the logger threw; its message follows");
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
    // A broken pipe is an 'error' event, which without a listener ends the process.
    if (process.stderr.listenerCount("error") === 0) process.stderr.on("error", ignore);
    process.stderr.write(`${text}\n`, ignore);
  } catch {
    // There is no other place to report it.
  }
}

function ignore(): void {}

function asLine(level: string, fields: object, message: string): string {
  return visible(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }));
}
