import type { IncomingMessage, ServerResponse } from "node:http";
import { addVary } from "../lib/http/vary.js";
import { type AuthReason, stateOf } from "../lib/request/state.js";
import { send } from "../lib/response/send.js";
import { answerProblem } from "../lib/response/send-problem.js";

const DETAILS: Readonly<Record<number, string>> = {
  400: "The credentials are not well-formed.",
  401: "Valid credentials are needed here.",
  403: "You may not do this.",
};

/**
 * The early return: at once, whatever becomes of the request's body, the same in development and production, and with
 * nothing of the credentials in it. The reason is for the log.
 */
export function refuse(
  req: IncomingMessage,
  res: ServerResponse,
  status: 400 | 401 | 403,
  challenges: readonly string[],
  vary: string,
  reason: AuthReason,
): void {
  if (res.headersSent || res.writableEnded) return; // somebody has answered while a callback took its time
  stateOf(req).refused = { by: "auth", reason };
  if (challenges.length > 0) res.setHeader("WWW-Authenticate", challenges as string[]);
  addVary(res, vary);
  answerProblem(req, res, status, { detail: DETAILS[status] });
}

/**
 * A browser's preflight that came this far because no `cors` stands before: it has no credentials to check, and must not
 * reach the handler. An empty answer, which grants nothing.
 */
export function endPreflight(req: IncomingMessage, res: ServerResponse): void {
  send(req, res, 204, undefined, "");
}
