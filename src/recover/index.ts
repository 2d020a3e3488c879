import type { ErrorRequestHandler, Request, RequestHandler, Response } from "express";
import { ConfigError } from "../lib/config/config-error.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { type AnyHandler, describeHandler, type ErrorHandler, type Handler } from "../lib/express/handler.js";
import { pathOf } from "../lib/http/target.js";
import { carryLogger } from "../lib/log/app-logger.js";
import { stateOf } from "../lib/request/state.js";
import { adopt, isHttp2 } from "../lib/request/transport.js";
import { shouldCloseEarly, truncate } from "../lib/response/close.js";
import { dropReplacedBodyHeaders } from "../lib/response/early-response.js";
import { outcomeOf } from "../lib/response/outcome.js";
import {
  answerPlainly,
  answerProblem,
  describeProblem,
  renderProblem,
  sendProblem,
} from "../lib/response/send-problem.js";
import { endTakenOver, isTakenOver } from "../lib/response/take-over.js";
import { describeThrown, disregard, isThenable, peek } from "../lib/values/thrown.js";
import {
  exposesMessage,
  headersOfError,
  isAbortRequest,
  isErrorStatus,
  membersOfError,
  statusOfError,
  statusOfResponse,
} from "./error.js";
import { checkOptions, type RecoverOptions, type RecoverPlan } from "./options.js";
import { type ResponsePhase, report } from "./report.js";

export type { Problem, RenderProblem } from "../lib/http/problem.js";
export { AbortRequest } from "./error.js";
export type { RecoverOptions } from "./options.js";

/**
 * Turns anything thrown, rejected or passed to `next` into one response: a 500, or the error's own status, as problem
 * details (RFC 9457), HTML or text. The error is logged once; in production its details are not sent.
 *
 * Goes last, after the router and `notFound`. CORS, security and request-id headers that were already set are sent;
 * headers that described the lost body are not. The connection is closed after a server error. If the head was already
 * sent, the response is truncated. Errors thrown outside the request's own calls (in a timer, an emitter) do not reach
 * this handler on their own.
 *
 * @example
 * app.use(recover());
 *
 * @example
 * app.use(recover({ logger: pino(), onError: (error) => tracker.capture(error) }));
 *
 * @throws {ConfigError} names all problems of the options at once
 * @see docs/recover.md
 */
export function recover(options?: RecoverOptions): ErrorHandler {
  const plan = checkOptions(options, "recover()");

  // Express recognises error handlers by their four parameters.
  const handler: ErrorRequestHandler = function recover(error, req, res, _next) {
    handle(plan, error, req, res);
  };
  return describeHandler(carryLogger(handler, plan.logger), { concern: "recover" });
}

/**
 * The same as a wrapper around a handler or router: it answers every error inside, also a thrown `undefined`, which
 * Express would ignore. When the inner handler calls `next()`, the request goes on.
 *
 * @example
 * app.use("/reports", recover.wrap(reports));
 *
 * @example
 * http.createServer(recover.wrap(handler, { close: "always" })); // without Express
 *
 * @throws {ConfigError} names all problems of the options at once
 * @see docs/recover.md
 */
recover.wrap = function wrap(handler: AnyHandler, options?: RecoverOptions): Handler {
  refuseRequest("recover.wrap()", handler);
  const plan = checkOptions(options, "recover.wrap()");
  if (typeof handler !== "function") {
    const reason = "must be a handler or a router: recover.wrap(router, options)";
    const code = "ERR_PORTICO_INVALID_HANDLER";
    throw new ConfigError("recover.wrap()", [{ option: "handler", value: handler, reason, code }]);
  }

  const recovering: RequestHandler = function recover(req, res, next) {
    const fail = (error: unknown) => handle(plan, error, req, res);
    const wrappedNext = (error?: unknown) => {
      if (error && error !== "route" && error !== "router") fail(error);
      else if (next !== undefined) next(error);
      else answerProblem(req, res, 404, { detail: `There is nothing at ${pathOf(req)} for ${req.method}.` });
    };
    try {
      const result: unknown = handler(req, res, wrappedNext);
      if (isThenable(result)) result.then(undefined, fail);
    } catch (error) {
      fail(error);
    }
  };
  return describeHandler(carryLogger(recovering, plan.logger), { concern: "recover" }, [handler]);
};

function handle(plan: RecoverPlan, error: unknown, req: Request, res: Response): void {
  adopt(req, res);
  const state = stateOf(req);
  if (state.late !== undefined) {
    if (!isAbortRequest(error)) state.late(error, plan.logger);
    return;
  }
  if (isAbortRequest(error)) {
    state.truncated = true;
    drop(req, res);
    return;
  }
  const status = statusFor(plan, error, res);
  const isFirst = !state.failed;
  if (isFirst) {
    state.failed = true;
    state.error = error;
  }
  report(plan, error, req, status, state.answering ? "ended" : phaseOf(req, res), isFirst);
  if (state.answering) return; // an earlier error is being answered
  // Read again: the logger or onError may have ended the response.
  switch (phaseOf(req, res)) {
    case "answered":
      state.answering = true;
      respond(plan, error, status, req, res);
      break;
    case "truncated":
      state.truncated = true;
      if (res.socket === null && isUpgrade(req)) endTakenOver(req, res, plan.lingerMs);
      else truncate(res);
      break;
  }
}

function isUpgrade(req: Request): boolean {
  return isTakenOver(req) || peek(req, "upgrade") === true;
}

function phaseOf(req: Request, res: Response): ResponsePhase {
  if (res.writableEnded) return "ended";
  if (res.destroyed || req.socket?.destroyed)
    return outcomeOf(req, res) === "aborted" ? "aborted" : "dropped";
  return res.headersSent || isUpgrade(req) ? "truncated" : "answered";
}

function respond(plan: RecoverPlan, error: unknown, status: number, req: Request, res: Response): void {
  const close =
    plan.close === "never" ? false : plan.close === "always" || status >= 500 || shouldCloseEarly(req);
  const options = { close, lingerMs: plan.lingerMs };
  const fail = (fault: unknown) =>
    report({ ...plan, onError: undefined }, fault, req, 500, phaseOf(req, res), false);
  try {
    dropReplacedBodyHeaders(res, status);
    for (const [name, value] of headersOfError(error, status)) res.setHeader(name, value);
    if (status === 426 && !isHttp2(req)) offerUpgrade(res);
    const isShown = isExposed(plan, error, status);
    const detail = detailFor(plan, error, status, isShown);
    const problem = describeProblem(req, status, { detail, ...(isShown && membersOfError(error)) });
    const render = plan.render ?? stateOf(req).render;
    if (render === undefined) sendProblem(req, res, problem, options);
    else renderProblem(render, problem, error, req, res, options, fail);
  } catch (fault) {
    fail(fault);
    answerPlainly(req, res, status, { ...options, close: true });
  }
}

/** RFC 9110, section 7.8: Upgrade must be named in Connection. */
function offerUpgrade(res: Response): void {
  if (res.hasHeader("Upgrade")) res.setHeader("Connection", "Upgrade");
}

function drop(req: Request, res: Response): void {
  if (!isHttp2(req) && isUpgrade(req)) req.socket.destroy();
  else truncate(res);
}

function statusFor(plan: RecoverPlan, error: unknown, res: Response): number {
  try {
    const status = plan.status?.(error);
    disregard(status);
    if (isErrorStatus(status)) return status;
  } catch (fault) {
    plan.logger.error({ error: describeThrown(fault) }, "recover: the option status threw");
  }
  return statusOfError(error) ?? statusOfResponse(res) ?? 500;
}

const GENERIC_DETAIL = "The server could not complete the request.";

function detailFor(plan: RecoverPlan, error: unknown, status: number, isShown: boolean): string | undefined {
  const { message, stack } = describeThrown(error);
  if (isShown) return message;
  if (!plan.production) return stack ?? message;
  return status >= 500 ? GENERIC_DETAIL : undefined;
}

function isExposed(plan: RecoverPlan, error: unknown, status: number): boolean {
  if (plan.expose === undefined) return exposesMessage(error, status);
  try {
    const exposed: unknown = plan.expose(error);
    disregard(exposed);
    return exposed === true;
  } catch (fault) {
    plan.logger.error({ error: describeThrown(fault) }, "recover: the option expose threw");
    return false;
  }
}
