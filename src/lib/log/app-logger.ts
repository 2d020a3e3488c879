import type { IncomingMessage } from "node:http";
import { appsAround, type Layer, layersOfApp, layersOfRouter } from "../express/app.js";
import { peek } from "../values/thrown.js";
import type { Logger } from "./logger.js";

/** The property of a `recover` handler that has its logger, for failures that other code reports. */
const LOGGER = Symbol.for("express-portico/logger");

export function carryLogger<T extends object>(handler: T, logger: Logger): T {
  return Object.defineProperty(handler, LOGGER, { value: logger });
}

/**
 * The logger of the `recover` after this request's routes: the last one in the app, or in the app it is mounted in. It
 * searches the app, so call it only when there is something to report.
 */
export function appLoggerOf(req: IncomingMessage): Logger | undefined {
  for (const app of appsAround(peek(req, "app"))) {
    const logger = lastLoggerIn(layersOfApp(app), 0);
    if (logger !== undefined) return logger;
  }
  return undefined;
}

const MAX_DEPTH = 10;

function lastLoggerIn(layers: readonly Layer[] | undefined, depth: number): Logger | undefined {
  if (layers === undefined || depth > MAX_DEPTH) return undefined;
  for (const layer of layers.toReversed()) {
    const handle = peek(layer, "handle");
    const logger =
      (peek(handle, LOGGER) as Logger | undefined) ?? lastLoggerIn(layersOfRouter(handle), depth + 1);
    if (logger !== undefined) return logger;
  }
  return undefined;
}
