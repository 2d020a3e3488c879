import type { IncomingMessage } from "node:http";
import { peek } from "../values/thrown.js";
import type { Logger } from "./logger.js";

/** The logger of a `recover`, on its handler: for those who report a failure that never comes by there. */
const LOGGER = Symbol.for("express-portico/logger");

export function carryLogger<T extends object>(handler: T, logger: Logger): T {
  return Object.defineProperty(handler, LOGGER, { value: logger });
}

/**
 * The logger of the `recover` that stands after this request's routes: the last one in the app, or in the app it is
 * mounted in. To be asked only when there is something to report, for it looks through the app.
 */
export function appLoggerOf(req: IncomingMessage): Logger | undefined {
  let app: unknown = peek(req, "app");
  for (let depth = 0; app !== undefined && app !== null && depth < MAX_DEPTH; depth++) {
    const router = peek(app, "_router") ?? peek(app, "router"); // Express 4 throws at the second
    const logger = lastLoggerIn(peek(router, "stack"), 0);
    if (logger !== undefined) return logger;
    app = peek(app, "parent");
  }
  return undefined;
}

const MAX_DEPTH = 10;

function lastLoggerIn(stack: unknown, depth: number): Logger | undefined {
  if (!Array.isArray(stack) || depth > MAX_DEPTH) return undefined;
  for (let i = stack.length - 1; i >= 0; i--) {
    const handle = peek(stack[i], "handle");
    const logger =
      (peek(handle, LOGGER) as Logger | undefined) ?? lastLoggerIn(peek(handle, "stack"), depth + 1);
    if (logger !== undefined) return logger;
  }
  return undefined;
}
