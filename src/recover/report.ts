import type { Request } from "express";
import { callObserver } from "../lib/log/callback-faults.js";
import { leaveToRecord } from "../lib/log/error-record.js";
import { requestFields } from "../lib/log/request-fields.js";
import { failureMessage } from "../lib/log/text.js";
import { stateOf } from "../lib/request/state.js";
import { isTakenOver } from "../lib/response/take-over.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import type { RecoverPlan } from "./options.js";

/** State of the response when the error came. */
export type ResponsePhase = "answered" | "truncated" | "ended" | "aborted" | "dropped";

const MESSAGES: Record<ResponsePhase, string> = {
  answered: "request failed",
  truncated: "request failed after its response had begun; the response was truncated",
  ended: "request failed after its response had ended",
  aborted: "request failed after its client had left",
  dropped: "request failed, and its connection had been dropped",
};

/**
 * Logs the error once: a server error with its stack, a 4xx at warn without one. If the request's record goes to the
 * same logger, the error is left to that record. Then calls `onError`. Neither can change what happens to the request.
 */
export function report(
  plan: RecoverPlan,
  error: unknown,
  req: Request,
  status: number,
  phase: ResponsePhase,
  isFirst: boolean,
): void {
  const { stack, ...thrown } = describeThrown(error);
  const isServerError = status >= 500;
  const state = stateOf(req);
  const { method, path, ...id } = requestFields(req);
  const fields = {
    method,
    path,
    status,
    ...id,
    remoteAddress: req.socket?.remoteAddress?.replace(/^::ffff:/, "") ?? "-",
    ...(phase === "aborted" && { aborted: true }),
    error: isServerError && stack !== undefined ? { ...thrown, stack } : thrown,
  };
  const level = phase === "aborted" ? "info" : isServerError ? "error" : "warn";
  const log = () => plan.logger[level](fields, failureMessage(MESSAGES[phase], req, error));
  const logger = plan.givenLogger;
  // Only the first error fits in the record; an upgraded connection may have no record.
  const mayLeave = isFirst && logger !== undefined && peek(req, "upgrade") !== true && !isTakenOver(req);
  if (!mayLeave || !leaveToRecord(state, { logger, level, stack: isServerError ? stack : undefined, log }))
    log();
  callOnError(plan, error, req);
}

function callOnError({ onError, logger }: RecoverPlan, error: unknown, req: Request): void {
  if (onError === undefined) return;
  callObserver(
    () => onError(error, req),
    (fault) => logger.error({ error: describeThrown(fault) }, "recover: onError threw"),
  );
}
