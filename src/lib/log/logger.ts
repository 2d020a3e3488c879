import type { Checker } from "../config/checker.js";
import { peek } from "../values/thrown.js";
import { readable } from "./text.js";

/**
 * Where messages go: pino, winston, bunyan and console fit. Each method takes an object of fields, then a message;
 * winston and a console, which do not, are called in their own way.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** Reads a `logger` option; what is returned takes fields and a message, whatever kind of logger was given. */
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

/** `child` came with winston 3: the `log` of winston 2 takes no object, and would drop it without a word. */
const OF_WINSTON = ["configure", "startTimer", "profile", "log", "child"];
const OF_LOG4JS = ["addContext", "clearContext", "isLevelEnabled", "log"];
const OF_CONSOLE = ["table", "groupEnd", "countReset"];

/**
 * The logger as one that takes fields, then a message. pino and bunyan do; winston takes one object with all in it, and
 * log4js and a console print whatever they get. They are told by their methods; what has those of several is a test's
 * double, which has any method.
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
 * Not `info(message, meta)`: there winston takes a `%c` of an encoded path for a directive, and then drops the meta.
 */
function forWinston(winston: Winston): Logger {
  return forEachLevel((level) => (fields, message) => winston.log({ ...fields, level, message }));
}

type Printing = Record<keyof Logger, (value: unknown) => unknown>;

/**
 * As one object: a layout that prints the event's data shows it as the text that a console gets, and one that writes JSON
 * has message and fields.
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

  /** What `util.format` asks for. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const { message, ...fields } = this;
    return readable(fields, message);
  }
}

/** As one text: a console takes the directives of a first argument only if there is a second. */
function forConsole(console: Printing): Logger {
  return forEachLevel((level) => (fields, message) => console[level](readable(fields, message)));
}

/** What the logger returns is handed on: a promise among it can be rejected, and whoever has called sees to that. */
function forEachLevel(write: (level: keyof Logger) => (fields: object, message: string) => unknown): Logger {
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
