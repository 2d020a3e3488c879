import type { IncomingMessage, ServerResponse } from "node:http";
import { type Problem, problemOf, represent } from "../http/problem.js";
import { pathOf } from "../http/target.js";
import { appLoggerOf } from "../log/app-logger.js";
import { failureMessage } from "../log/failure-message.js";
import { stderrLogger } from "../log/stderr-logger.js";
import { dropLostBody } from "../request/lost-body.js";
import { stateOf } from "../request/state.js";
import { describeThrown } from "../values/thrown.js";
import { renderProblem } from "./render-problem.js";
import { type SendOptions, send } from "./send.js";

/**
 * Answers with a problem, not to be stored by anyone: as the app's own `render` writes it, else in the form that the client
 * likes best. The members that are the same everywhere (title, instance, requestId) are filled in.
 *
 * @param error what was thrown; undefined for a refusal
 */
export function answerProblem(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  members: Partial<Problem>,
  options?: SendOptions,
  error?: unknown,
): void {
  const problem = describeProblem(req, status, members);
  const { render } = stateOf(req);
  if (render === undefined) sendProblem(req, res, problem, options);
  else renderProblem(render, problem, error, req, res, options ?? {}, (fault) => reportRender(req, fault));
}

function reportRender(req: IncomingMessage, fault: unknown): void {
  const logger = appLoggerOf(req) ?? stderrLogger;
  const requestId = stateOf(req).id;
  logger.error(
    {
      method: req.method,
      path: pathOf(req),
      ...(requestId !== undefined && { requestId }),
      error: describeThrown(fault),
    },
    failureMessage("render failed; the status alone was sent", req, fault),
  );
}

/** The problem as it will be sent. */
export function describeProblem(
  req: IncomingMessage,
  status: number,
  members: Partial<Problem> = {},
): Problem {
  const requestId = stateOf(req).id;
  return { ...problemOf(status), instance: pathOf(req), ...(requestId && { requestId }), ...members };
}

/** Sends a problem that was made by `describeProblem`. */
export function sendProblem(
  req: IncomingMessage,
  res: ServerResponse,
  problem: Problem,
  options?: SendOptions,
): void {
  if (res.headersSent) return;
  const { type, body } = represent(problem, req.headers.accept);
  dropLostBody(res, problem.status);
  res.setHeader("Cache-Control", "no-store");
  res.setHeader("X-Content-Type-Options", "nosniff");
  send(req, res, problem.status, type, body, options);
}
