import type { Checker } from "../config/checker.js";
import { peek } from "../values/thrown.js";
import { readable } from "./text.js";

/**
 * Where messages go: pino, winston, bunyan, log4js and console fit. Each method takes an object of fields, then a message.
 * The methods of winston, log4js and console take other arguments, and are called with those.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** Reads a `logger` option, and returns a logger that takes fields and a message. */
export function checkLogger(checker: Checker, option = "logger"): Logger | undefined {
  const logger = checker.options[option] as Record<string, unknown> | undefined;
  if (logger === undefined) return undefined;
  const missing =
    (typeof logger === "object" && logger !== null) || typeof logger === "function"
      ? LEVELS.filter((level) => typeof logger[level] !== "function")
      : LEVELS;
  if (missing.length === 0) return adaptLogger(logger as unknown as Logger);
  checker.add(
    option,
    `must have the methods debug, info, warn and error (pino, winston and console do); it has no ${missing.join(", ")}`,
  );
  return undefined;
}

/** `child` came with winston 3: the `log` of winston 2 takes no object, and would drop it silently. */
const OF_WINSTON = ["configure", "startTimer", "profile", "log", "child"];
const OF_LOG4JS = ["addContext", "clearContext", "isLevelEnabled", "log"];
const OF_CONSOLE = ["table", "groupEnd", "countReset"];

/**
 * The logger as one that takes fields, then a message, as pino and bunyan do. winston takes one object; log4js and a
 * console print their arguments. The kind is recognised by its methods; an object with the methods of several kinds is a
 * test double, and is left as it is.
 */
export function adaptLogger(logger: Logger): Logger {
  const fitting = KINDS.filter(({ methods }) => hasMethods(logger, methods));
  return fitting.length === 1 ? fitting[0]!.adapt(logger as never) : logger;
}

const KINDS: readonly { methods: readonly string[]; adapt: (logger: never) => Logger }[] = [
  { methods: OF_WINSTON, adapt: forWinston },
  { methods: OF_LOG4JS, adapt: forLog4js },
  { methods: OF_CONSOLE, adapt: forConsole },
];

function hasMethods(logger: Logger, names: readonly string[]): boolean {
  return names.every((name) => typeof peek(logger, name) === "function");
}

interface Winston {
  log(info: object): unknown;
}

/**
 * Not `info(message, meta)`: there winston reads a `%c` of an encoded path as a directive, and drops the meta.
 */
function forWinston(winston: Winston): Logger {
  return forEachLevel((level) => (fields, message) => winston.log({ ...fields, level, message }));
}

type Printing = Record<keyof Logger, (value: unknown) => unknown>;

/**
 * One object: a layout that prints it shows the text that a console gets, and one that writes JSON has message and fields.
 */
function forLog4js(log4js: Printing): Logger {
  return forEachLevel((level) => (fields, message) => log4js[level](new Log4jsData(fields, message)));
}

class Log4jsData {
  readonly message: string;

  constructor(fields: object, message: string) {
    this.message = message;
    Object.assign(this, fields);
  }

  /** Called by `util.format`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const { message, ...fields } = this;
    return readable(fields, message);
  }
}

/** One text: a console reads the directives of its first argument only if there is a second. */
function forConsole(console: Printing): Logger {
  return forEachLevel((level) => (fields, message) => console[level](readable(fields, message)));
}

/** Returns what the logger returns: it may be a promise that rejects, which the caller handles. */
function forEachLevel(write: (level: keyof Logger) => (fields: object, message: string) => unknown): Logger {
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
