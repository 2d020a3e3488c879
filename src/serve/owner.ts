import type { ServerResponse } from "node:http";
import { pathOf } from "../lib/http/target.js";
import type { Logger } from "../lib/log/logger.js";
import { leaveScope, runInScopeOf, stateOfUncaught, upgradedSocket } from "../lib/request/scope.js";
import type { RequestState } from "../lib/request/state.js";
import { closeAfter, truncate } from "../lib/response/close.js";
import { DEFAULT_LINGER_MS, send } from "../lib/response/send.js";
import { asError, describeThrown } from "../lib/values/thrown.js";

/**
 * Logs an uncaught error, and that the process ends because of it. Then passes it to the `next` of its request, which
 * `requestContext` has kept, and so to the app's error handlers. If the request is not certain, none is answered.
 */
export function handOver(error: unknown, origin: string, logger: Logger): void {
  const owner = stateOfUncaught(error);
  try {
    if (owner === undefined) report(logger, "outside of any request", error, origin);
    else runInScopeOf(owner, () => settle(owner, error, origin, logger));
  } finally {
    leaveScope();
  }
}

function settle(owner: RequestState, error: unknown, origin: string, logger: Logger): void {
  const { res, next } = owner;
  const socket = upgradedSocket(owner);
  if (socket !== undefined) {
    report(logger, "in an upgraded connection, which is dropped", error, origin, owner);
    socket.destroy(); // it no longer speaks HTTP: no answer is possible
  } else if (res === undefined || next === undefined) {
    report(logger, "in a request that cannot be answered for", error, origin, owner);
  } else if (isOver(res)) {
    report(logger, "in a request that was over", error, origin, owner);
    owner.late?.(error, MUTE); // the timeout's `onLate`
  } else if (owner.isOutOfBand || owner.failed) {
    // It has an answer already. If sending that failed too, force a bare 500.
    report(logger, "in a request that had failed before", error, origin, owner);
    if (!owner.answering) insist(res);
  } else {
    report(logger, "in a request", error, origin, owner);
    owner.isOutOfBand = true;
    give(owner, res, next, error, logger);
  }
}

function isOver(res: ServerResponse): boolean {
  if (res.writableEnded || res.destroyed || res.req.socket?.destroyed) return true;
  const { stream } = res as unknown as { readonly stream?: { readonly closed: boolean } };
  return stream?.closed === true; // during 'aborted' the stream is closed, but not yet destroyed
}

function give(
  owner: RequestState,
  res: ServerResponse,
  next: (error?: unknown) => void,
  error: unknown,
  logger: Logger,
): void {
  if (res.headersSent) {
    owner.truncated = true;
    truncate(res); // first, so that no handler ends it as if it were complete
  } else {
    closeAfter(res.req, res, DEFAULT_LINGER_MS);
  }
  try {
    next(asError(error));
  } catch (fault) {
    logger.error({ ...about(owner), error: describeThrown(fault) }, "the app's error handling threw");
    if (res.headersSent) truncate(res);
    else answerPlainly(res);
  }
}

/** How long the app's error handling may take to answer after a second error. */
const PATIENCE_MS = 1_000;

function insist(res: ServerResponse): void {
  const timer = setTimeout(answerPlainly, PATIENCE_MS, res);
  res.once("close", () => clearTimeout(timer));
}

function answerPlainly(res: ServerResponse): void {
  send(res.req, res, 500, "text/plain; charset=utf-8", "500\n", { close: true });
}

function report(logger: Logger, where: string, error: unknown, origin: string, owner?: RequestState): void {
  const fields = { origin, ...(owner && about(owner)), error: describeThrown(error) };
  logger.error(fields, `uncaught error ${where}; the process finishes what is under way, and ends`);
}

function about({ id, req }: RequestState): object {
  return {
    ...(id !== undefined && { requestId: id }),
    ...(req !== undefined && { method: req.method, path: pathOf(req) }),
  };
}

const ignore = () => {};
const MUTE: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
