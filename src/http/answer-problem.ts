import type { IncomingMessage, ServerResponse } from "node:http";
import { type AnswerOptions, answer } from "./answer.js";
import { factsOf } from "./facts.js";
import { dropLostBody } from "./lost-body.js";
import { type Problem, problemOf, represent } from "./problem.js";
import { pathOf } from "./target.js";

/**
 * Answers with a problem in the form that the client likes best, not to be stored by anyone. The members that are the
 * same everywhere (title, instance, requestId) are filled in.
 */
export function answerProblem(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  members: Partial<Problem>,
  options?: AnswerOptions,
): void {
  const problem = describeProblem(req, status, members);
  sendProblem(req, res, problem, options);
}

/** The problem as it will be sent. */
export function describeProblem(
  req: IncomingMessage,
  status: number,
  members: Partial<Problem> = {},
): Problem {
  const requestId = factsOf(req).id;
  return { ...problemOf(status), instance: pathOf(req), ...(requestId && { requestId }), ...members };
}

/** Sends a problem that was made by `describeProblem`. */
export function sendProblem(
  req: IncomingMessage,
  res: ServerResponse,
  problem: Problem,
  options?: AnswerOptions,
): void {
  if (res.headersSent) return;
  const { type, body } = represent(problem, req.headers.accept);
  dropLostBody(res);
  res.setHeader("Cache-Control", "no-store");
  res.setHeader("X-Content-Type-Options", "nosniff");
  answer(req, res, problem.status, type, body, options);
}
