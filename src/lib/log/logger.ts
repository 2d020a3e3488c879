import type { Checker } from "../config/checker.js";
import { adaptLogger } from "./adapt-logger.js";

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
