import type { Application, ErrorRequestHandler, Request } from "express";
import { appsAround, layersOfApp } from "../lib/express/app.js";
import { handlerInfo } from "../lib/express/handler.js";
import { isAtRoot } from "../lib/express/mount-path.js";
import { appLoggerOf } from "../lib/log/app-logger.js";
import { callObserver } from "../lib/log/callback-faults.js";
import type { Logger } from "../lib/log/logger.js";
import { requestFields } from "../lib/log/request-fields.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { failureMessage } from "../lib/log/text.js";
import { stateOf } from "../lib/request/state.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import type { TimeoutPlan } from "./options.js";

/** Makes the function that reports the late errors of one request. */
export function lateErrors({ onLate }: TimeoutPlan, req: Request) {
  return (error: unknown, logger?: Logger): void => {
    if (onLate !== undefined) {
      callObserver(
        () => onLate(error, req),
        (fault) =>
          stderrLogger.error(
            { ...requestFields(req), error: describeThrown(fault) },
            "timeout: onLate threw",
          ),
      );
    } else if (!isCausedBySignal(error, stateOf(req).reason)) {
      const target = logger ?? appLoggerOf(req) ?? stderrLogger;
      target.warn(
        { ...requestFields(req), error: describeThrown(error) },
        failureMessage("request failed after it had timed out", req, error),
      );
    }
  };
}

/** Whether a handler failed only because its signal aborted: such an error is not logged. */
function isCausedBySignal(error: unknown, reason: unknown): boolean {
  return reason !== undefined && (error === reason || peek(error, "cause") === reason);
}

const caught = new WeakSet<object>();

/**
 * Catches late errors of inner handlers. Express passes them to the app's error handlers, which does no harm, and then to
 * its own final handler, which destroys the connection of a response that has ended, and so the next request on it.
 * A `recover` at the end of the app takes them before. Without one, an error handler is added at the first deadline:
 * Express gives an error to nothing else, and its final handler was chosen before the request came here.
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

/** Not remembered: the app may get more handlers before the next deadline. */
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
