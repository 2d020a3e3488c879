import { peek } from "../http/thrown.js";
import type { Logger } from "./logger.js";
import { readable } from "./readable.js";

/**
 * The logger as one that takes fields, then a message. pino and bunyan do; winston takes one object with all in it, and
 * a console prints whatever it gets. Both are told by methods that no other kind of logger has.
 */
export function adaptLogger(logger: Logger): Logger {
  if (hasMethods(logger, ["configure", "startTimer", "profile", "log"])) return forWinston(logger as never);
  return hasMethods(logger, ["table", "groupEnd", "countReset"]) ? forConsole(logger) : logger;
}

function hasMethods(logger: Logger, names: readonly string[]): boolean {
  return names.every((name) => typeof peek(logger, name) === "function");
}

interface Winston {
  log(info: object): unknown;
}

/**
 * Not `info(message, meta)`: there winston takes a `%c` of an encoded path for a directive, and then drops the meta.
 */
function forWinston(winston: Winston): Logger {
  return forEachLevel((level) => (fields, message) => {
    winston.log({ ...fields, level, message });
  });
}

/** As one text: a console takes the directives of a first argument only if there is a second. */
function forConsole(console: Logger): Logger {
  const print = console as unknown as Record<keyof Logger, (text: string) => void>;
  return forEachLevel((level) => (fields, message) => {
    print[level](readable(fields, message));
  });
}

function forEachLevel(write: (level: keyof Logger) => (fields: object, message: string) => void): Logger {
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
