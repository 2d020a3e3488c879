import type { ErrorRequestHandler, Request, RequestHandler, Response } from "express";
import { ConfigError } from "../config/config-error.js";
import { refuseRequest } from "../config/not-called.js";
import { answer } from "../http/answer.js";
import { answerProblem, describeProblem, sendProblem } from "../http/answer-problem.js";
import { carryLogger } from "../http/app-logger.js";
import { bodyIsFar, closeAfter, dropBody, reset, truncate } from "../http/connection.js";
import { describeHandler } from "../http/describe-handler.js";
import { factsOf } from "../http/facts.js";
import { isHttp2 } from "../http/http2.js";
import { dropLostBody } from "../http/lost-body.js";
import type { AnyHandler, ErrorHandler, Handler } from "../http/middleware.js";
import { outcomeOf } from "../http/outcome.js";
import type { Problem } from "../http/problem.js";
import { endTakenOver, isTakenOver } from "../http/take-over.js";
import { pathOf } from "../http/target.js";
import { disregard, isThenable } from "../http/thenable.js";
import { describeThrown, peek } from "../http/thrown.js";
import { isAbortRequest } from "./abort-request.js";
import { headersOf } from "./headers.js";
import { checkOptions, type RecoverOptions, type RecoverPlan } from "./options.js";
import { type Circumstance, report } from "./report.js";
import { exposesItself, isErrorStatus, statusOf } from "./status.js";

export type { Problem } from "../http/problem.js";
export { AbortRequest } from "./abort-request.js";
export type { RecoverOptions } from "./options.js";

/**
 * Turns anything thrown, rejected or given to `next` into one answer: a 500, or the error's own status, as problem
 * details (RFC 9457), HTML or text. It is logged once, and the client learns nothing that is not meant for it.
 *
 * Goes last, after the router and `notFound`. CORS, security and request-id headers that were set before stay on the
 * answer; headers of the body that is lost go. The connection is closed after a server error. If the head was already
 * sent, the response is cut so that the client can see it. Errors thrown outside the request's own calls (in a timer,
 * an emitter) do not come by here on their own.
 *
 * @example
 * app.use(recover());
 *
 * @example
 * app.use(recover({ logger: pino(), onError: (error) => tracker.capture(error) }));
 *
 * @throws {ConfigError} all that is wrong with the options, at once
 */
export function recover(options?: RecoverOptions): ErrorHandler {
  const plan = checkOptions(options, "recover()");

  // Express tells error handlers by their four parameters.
  const handler: ErrorRequestHandler = function recover(error, req, res, _next) {
    handle(plan, error, req, res);
  };
  return describeHandler(carryLogger(handler, plan.logger), { concern: "recover" });
}

/**
 * The same as a wrapper, for the outermost place: `recover.wrap(router)` answers for all that fails within the router,
 * and knows every thrown value, `undefined` included. What the handler passes on (`next()`) goes on.
 *
 * @example
 * app.use("/reports", recover.wrap(reports));
 *
 * @example
 * http.createServer(recover.wrap(handler, { close: "always" })); // without Express
 *
 * @throws {ConfigError} all that is wrong with the options, at once
 */
recover.wrap = function wrap(handler: AnyHandler, options?: RecoverOptions): Handler {
  refuseRequest("recover.wrap()", handler);
  const plan = checkOptions(options, "recover.wrap()");
  if (typeof handler !== "function") {
    throw new ConfigError("recover.wrap()", [
      {
        option: "handler",
        value: handler,
        reason: "must be a handler or a router: recover.wrap(router, options)",
        code: "ERR_PORTICO_INVALID_HANDLER",
      },
    ]);
  }

  const recovering: RequestHandler = function recover(req, res, next) {
    const fail = (error: unknown) => handle(plan, error, req, res);
    const goOn = (error?: unknown) => {
      if (error && error !== "route" && error !== "router") fail(error);
      else if (next !== undefined) next(error);
      else answerProblem(req, res, 404, { detail: `There is nothing at ${pathOf(req)} for ${req.method}.` });
    };
    try {
      const result: unknown = handler(req, res, goOn);
      if (isThenable(result)) result.then(undefined, fail);
    } catch (error) {
      fail(error);
    }
  };
  return describeHandler(carryLogger(recovering, plan.logger), { concern: "recover" }, [handler]);
};

function handle(plan: RecoverPlan, error: unknown, req: Request, res: Response): void {
  const facts = factsOf(req);
  if (facts.late !== undefined) {
    if (!isAbortRequest(error)) facts.late(error, plan.logger);
    return;
  }
  if (isAbortRequest(error)) {
    facts.cut = true;
    drop(req, res);
    return;
  }
  const status = statusFor(plan, error);
  const isFirst = !facts.failed;
  if (isFirst) {
    facts.failed = true;
    facts.error = error;
  }
  report(plan, error, req, status, facts.answering ? "ended" : circumstance(req, res), isFirst);
  if (facts.answering) return; // the answer to an earlier error is on its way
  // Asked again: the logger or the observer may have taken their time, or worse.
  switch (circumstance(req, res)) {
    case "answered":
      facts.answering = true;
      respond(plan, error, status, req, res);
      break;
    case "truncated":
      facts.cut = true;
      if (res.socket === null && isUpgrade(req)) endTakenOver(req, res, plan.lingerMs);
      else truncate(res);
      break;
  }
}

function isUpgrade(req: Request): boolean {
  return isTakenOver(req) || peek(req, "upgrade") === true;
}

function circumstance(req: Request, res: Response): Circumstance {
  if (res.writableEnded) return "ended";
  if (res.destroyed || req.socket?.destroyed) return outcomeOf(req, res) === "left" ? "aborted" : "dropped";
  return res.headersSent || isUpgrade(req) ? "truncated" : "answered";
}

function respond(plan: RecoverPlan, error: unknown, status: number, req: Request, res: Response): void {
  const close = plan.close === "never" ? false : plan.close === "always" || status >= 500 || bodyIsFar(req);
  const options = { close, lingerMs: plan.lingerMs };
  try {
    dropLostBody(res);
    for (const [name, value] of headersOf(error)) res.setHeader(name, value);
    const problem = describeProblem(req, status, { detail: detailFor(plan, error, status) });
    if (plan.render === undefined) sendProblem(req, res, problem, options);
    else render(plan, plan.render, problem, req, res, options);
  } catch (fault) {
    lastResort(plan, fault, status, req, res);
  }
}

function render(
  plan: RecoverPlan,
  write: NonNullable<RecoverPlan["render"]>,
  problem: Problem,
  req: Request,
  res: Response,
  { close, lingerMs }: { close: boolean; lingerMs: number },
): void {
  res.statusCode = problem.status;
  res.statusMessage = "";
  res.setHeader("Cache-Control", "no-store");
  if (close) closeAfter(req, res, lingerMs);
  const fail = (fault: unknown) => lastResort(plan, fault, problem.status, req, res);
  req.next = fail; // where `res.render` and `res.sendFile` report to
  res.on("error", ignore);
  const result = write(problem, req, res);
  dropBody(req);
  if (!isThenable(result)) return;
  result.then(() => {
    if (res.headersSent || res.writableEnded) return;
    // It may have begun something that answers later (`res.render`, `res.sendFile`), or have forgotten to.
    const timer = setTimeout(fail, RENDER_GRACE_MS, undefined).unref();
    res.once("close", () => clearTimeout(timer));
  }, fail);
}

/** How long a `render` may take to answer after its promise has been fulfilled. */
const RENDER_GRACE_MS = 5_000;

function ignore(): void {}

/** The answer could not be made as planned: the status alone, with none of the headers that may be to blame. */
function lastResort(plan: RecoverPlan, fault: unknown, status: number, req: Request, res: Response): void {
  if (fault !== undefined)
    report({ ...plan, onError: undefined }, fault, req, 500, circumstance(req, res), false);
  try {
    if (circumstance(req, res) === "answered") {
      dropLostBody(res);
      answer(req, res, status, "text/plain; charset=utf-8", `${status}\n`, {
        close: true,
        lingerMs: plan.lingerMs,
      });
    } else if (!res.writableEnded) {
      truncate(res);
    }
  } catch {
    reset(req.socket);
  }
}

function drop(req: Request, res: Response): void {
  if (isHttp2(req)) truncate(res);
  else if (isUpgrade(req)) req.socket.destroy();
  else if (res.socket === null)
    res.destroy(); // pipelined: the answers before it are still to be sent
  else reset(res.socket);
}

function statusFor(plan: RecoverPlan, error: unknown): number {
  try {
    const status = plan.status?.(error);
    disregard(status);
    if (isErrorStatus(status)) return status;
  } catch (fault) {
    plan.logger.error({ error: describeThrown(fault) }, "recover: the option status threw");
  }
  return statusOf(error);
}

const GENERIC = "The server could not complete the request.";

function detailFor(plan: RecoverPlan, error: unknown, status: number): string | undefined {
  const { message, stack } = describeThrown(error);
  if (isExposed(plan, error, status)) return message;
  if (!plan.production) return stack ?? message;
  return status >= 500 ? GENERIC : undefined;
}

function isExposed(plan: RecoverPlan, error: unknown, status: number): boolean {
  if (plan.expose === undefined) return exposesItself(error, status);
  try {
    const exposed: unknown = plan.expose(error);
    disregard(exposed);
    return exposed === true;
  } catch (fault) {
    plan.logger.error({ error: describeThrown(fault) }, "recover: the option expose threw");
    return false;
  }
}
