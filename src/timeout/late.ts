import type { Application, ErrorRequestHandler, Request } from "express";
import { pathOf } from "../lib/http/target.js";
import { appLoggerOf } from "../lib/log/app-logger.js";
import type { Logger } from "../lib/log/logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { failureMessage } from "../lib/log/text.js";
import { stateOf } from "../lib/request/state.js";
import { describeThrown, isThenable, peek } from "../lib/values/thrown.js";
import type { TimeoutPlan } from "./options.js";

/** What becomes of an error that comes when its request has been given up: it is reported, here and nowhere else. */
export function lateErrors({ onLate }: TimeoutPlan, req: Request) {
  return (error: unknown, logger?: Logger): void => {
    if (onLate !== undefined) observe(onLate, error, req);
    else if (!isEcho(error, stateOf(req).reason)) {
      const target = logger ?? appLoggerOf(req) ?? stderrLogger;
      target.warn(
        { ...about(req), error: describeThrown(error) },
        failureMessage("request failed after it had timed out", req, error),
      );
    }
  };
}

function observe(onLate: NonNullable<TimeoutPlan["onLate"]>, error: unknown, req: Request): void {
  const complain = (fault: unknown) =>
    stderrLogger.error({ ...about(req), error: describeThrown(fault) }, "timeout: onLate threw");
  try {
    const result = onLate(error, req);
    if (isThenable(result)) result.then(undefined, complain);
  } catch (fault) {
    complain(fault);
  }
}

function about(req: Request): object {
  const requestId = stateOf(req).id;
  return { method: req.method, path: pathOf(req), ...(requestId !== undefined && { requestId }) };
}

/** A handler that stops because its signal says so does as it is told: that is no news. */
function isEcho(error: unknown, reason: unknown): boolean {
  return reason !== undefined && (error === reason || peek(error, "cause") === reason);
}

const caught = new WeakSet<object>();

/**
 * Catches what comes late from further in. Express hands it to the app's error handlers, which know what to do with
 * it, or try to answer, which does no harm; but then to its own final handler, which destroys the connection of a
 * response that has ended, and with it the next request. So at the first deadline of an app one more error handler is
 * put behind all others.
 */
export function catchLateErrors(req: Request): void {
  // Where `res.sendFile`, `res.render` and `res.format` report to.
  req.next = (error?: unknown) => {
    if (error && error !== "route" && error !== "router") stateOf(req).late?.(error);
  };
  let app = req.app as (Application & { parent?: Application }) | undefined;
  while (app?.parent !== undefined) app = app.parent;
  if (typeof app?.use !== "function" || caught.has(app)) return;
  caught.add(app);
  app.use(lateErrorHandler);
}

const lateErrorHandler: ErrorRequestHandler = function lateErrors(error, req, _res, next) {
  const { late } = stateOf(req);
  if (late === undefined) next(error);
  else late(error);
};
