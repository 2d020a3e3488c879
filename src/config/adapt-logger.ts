import { peek } from "../http/thrown.js";
import type { Logger } from "./logger.js";
import { readable } from "./readable.js";

/** `child` came with winston 3: the `log` of winston 2 takes no object, and would drop it without a word. */
const OF_WINSTON = ["configure", "startTimer", "profile", "log", "child"];
const OF_CONSOLE = ["table", "groupEnd", "countReset"];

/**
 * The logger as one that takes fields, then a message. pino and bunyan do; winston takes one object with all in it, and
 * a console prints whatever it gets. Both are told by their methods; what has those of both is a test's double, which
 * has any method.
 */
export function adaptLogger(logger: Logger): Logger {
  const isWinston = hasMethods(logger, OF_WINSTON);
  if (isWinston === hasMethods(logger, OF_CONSOLE)) return logger;
  return isWinston ? forWinston(logger as never) : forConsole(logger);
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
  return forEachLevel((level) => (fields, message) => winston.log({ ...fields, level, message }));
}

/** As one text: a console takes the directives of a first argument only if there is a second. */
function forConsole(console: Logger): Logger {
  const print = console as unknown as Record<keyof Logger, (text: string) => unknown>;
  return forEachLevel((level) => (fields, message) => print[level](readable(fields, message)));
}

/** What the logger returns is handed on: a promise among it can be rejected, and whoever has called sees to that. */
function forEachLevel(write: (level: keyof Logger) => (fields: object, message: string) => unknown): Logger {
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
