import type { Application, ErrorRequestHandler, Request } from "express";
import { appLoggerOf } from "../log/app-logger.js";
import type { Logger } from "../log/logger.js";
import { requestFields } from "../log/request-fields.js";
import { stderrLogger } from "../log/stderr-logger.js";
import { failureMessage } from "../log/text.js";
import { stateOf } from "../request/state.js";
import { describeThrown, peek } from "../values/thrown.js";
import { appsAround, layersOfApp } from "./app.js";
import { handlerInfo } from "./handler.js";
import { isAtRoot } from "./mount-path.js";

/** Logs a late error as a warning, unless it was caused by what ended the request. */
export function warnOfLate(
  req: Request,
  error: unknown,
  cause: unknown,
  message: string,
  logger: Logger | undefined,
): void {
  if (cause !== undefined && (error === cause || peek(error, "cause") === cause)) return;
  const target = logger ?? appLoggerOf(req) ?? stderrLogger;
  target.warn({ ...requestFields(req), error: describeThrown(error) }, failureMessage(message, req, error));
}

const caught = new WeakSet<object>();

/**
 * Catches late errors of inner handlers. Express passes them to the app's error handlers, which does no harm, and then to
 * its own final handler, which destroys the connection of a response that has ended, and with it the next request there.
 * A `recover` at the end of the app gets them before that. Without one, the first call for an app adds an error handler to
 * it: the final handler cannot be replaced, because Express chose it before the request came here.
 */
export function catchLateErrors(req: Request): void {
  // `res.sendFile`, `res.render` and `res.format` pass their errors to it.
  req.next = (error?: unknown) => {
    if (error && error !== "route" && error !== "router") stateOf(req).late?.(error);
  };
  const app = appsAround(req.app).at(-1) as Application | undefined;
  if (typeof app?.use !== "function" || caught.has(app) || endsWithRecover(app)) return;
  caught.add(app);
  app.use(lateErrorHandler);
}

/** Not remembered: the app may get more handlers before the next late error. */
function endsWithRecover(app: Application): boolean {
  const last = layersOfApp(app)?.at(-1);
  if (last === undefined || !isAtRoot(last)) return false;
  return peek(last.handle, "length") === 4 && handlerInfo(last.handle)?.concern === "recover";
}

const lateErrorHandler: ErrorRequestHandler = function lateErrors(error, req, _res, next) {
  const { late } = stateOf(req);
  if (late === undefined) next(error);
  else late(error);
};
