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
 * Sends an early response without any part of the credentials in it, the same in development and in production. The
 * reason is only logged.
 */
export function refuse(
  req: IncomingMessage,
  res: ServerResponse,
  status: 400 | 401 | 403,
  challenges: readonly string[],
  vary: string,
  reason: AuthReason,
): void {
  if (res.headersSent || res.writableEnded) return; // answered by another handler while a callback was pending
  stateOf(req).refused = { by: "auth", reason };
  if (challenges.length > 0) res.setHeader("WWW-Authenticate", challenges as string[]);
  addVary(res, vary);
  answerProblem(req, res, status, { detail: DETAILS[status] });
}

/**
 * Answers a preflight, which comes this far if no `cors` is mounted before: it has no credentials to check, and it must
 * not reach the handler. The empty answer allows nothing.
 */
export function answerPreflight(req: IncomingMessage, res: ServerResponse): void {
  send(req, res, 204, undefined, "");
}
