import type { Checker } from "./check.js";

/**
 * Where messages go: pino, winston, bunyan and console fit. Each method takes an object of fields, then a message.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** Reads a `logger` option. */
export function checkLogger(checker: Checker, option = "logger"): Logger | undefined {
  const logger = checker.options[option] as Record<string, unknown> | undefined;
  if (logger === undefined) return undefined;
  const missing =
    typeof logger === "object" && logger !== null
      ? LEVELS.filter((level) => typeof logger[level] !== "function")
      : LEVELS;
  if (missing.length === 0) return logger as unknown as Logger;
  checker.add(
    option,
    `must have the methods debug, info, warn and error (pino, winston and console do); it has no ${missing.join(", ")}`,
  );
  return undefined;
}
