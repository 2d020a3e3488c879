import type { ServerResponse } from "node:http";
import type { Logger } from "../lib/log/logger.js";
import { requestFields } from "../lib/log/request-fields.js";
import { leaveScope, runInScope, stateOfUncaught, upgradedSocket } from "../lib/request/scope.js";
import type { RequestState } from "../lib/request/state.js";
import { closeAfter, truncate } from "../lib/response/close.js";
import { DEFAULT_LINGER_MS } from "../lib/response/early-response.js";
import { send } from "../lib/response/send.js";
import { asError, describeThrown } from "../lib/values/thrown.js";

/**
 * Logs an uncaught error, and that the process ends because of it. If the error's request is certain, passes the error to
 * the `next` that `requestContext` has kept, and so to the app's error handlers. If not, answers no request.
 */
export function handleUncaught(error: unknown, origin: string, logger: Logger): void {
  const state = stateOfUncaught(error);
  try {
    if (state === undefined) report(logger, "outside of any request", error, origin);
    else runInScope(state, () => answerRequest(state, error, origin, logger));
  } finally {
    leaveScope();
  }
}

function answerRequest(state: RequestState, error: unknown, origin: string, logger: Logger): void {
  const { res, next } = state;
  const socket = upgradedSocket(state);
  if (socket !== undefined) {
    report(logger, "in an upgraded connection, which is dropped", error, origin, state);
    socket.destroy(); // it no longer speaks HTTP: no answer is possible
  } else if (res === undefined || next === undefined) {
    report(logger, "in a request that cannot be answered", error, origin, state);
  } else if (isOver(res)) {
    report(logger, "in a request that was over", error, origin, state);
    state.late?.(error, NO_LOGGER); // the timeout's `onLate`
  } else if (state.hasUncaught || state.failed) {
    // The app's error handlers have an earlier error of this request. If they do not answer in time, force a bare 500.
    report(logger, "in a request that had failed before", error, origin, state);
    if (!state.answering) answerSoon(res);
  } else {
    report(logger, "in a request", error, origin, state);
    state.hasUncaught = true;
    passToApp(state, res, next, error, logger);
  }
}

function isOver(res: ServerResponse): boolean {
  if (res.writableEnded || res.destroyed || res.req.socket?.destroyed) return true;
  const { stream } = res as unknown as { readonly stream?: { readonly closed: boolean } };
  return stream?.closed === true; // during 'aborted' the stream is closed, but not yet destroyed
}

function passToApp(
  state: RequestState,
  res: ServerResponse,
  next: (error?: unknown) => void,
  error: unknown,
  logger: Logger,
): void {
  if (res.headersSent) {
    state.truncated = true;
    truncate(res); // first, so that no handler ends it as if it were complete
  } else {
    closeAfter(res.req, res, DEFAULT_LINGER_MS);
  }
  try {
    next(asError(error));
  } catch (handlerError) {
    logger.error(
      { ...fieldsOf(state), error: describeThrown(handlerError) },
      "the app's error handling threw",
    );
    if (res.headersSent) truncate(res);
    else answerBare500(res);
  }
}

/** How long the app's error handling may take to answer after a second error. */
const ANSWER_MS = 1_000;

function answerSoon(res: ServerResponse): void {
  const timer = setTimeout(answerBare500, ANSWER_MS, res);
  res.once("close", () => clearTimeout(timer));
}

function answerBare500(res: ServerResponse): void {
  send(res.req, res, 500, "text/plain; charset=utf-8", "500\n", { close: true });
}

/**
 * How many errors are logged in one turn of the event loop. A logger whose output is broken (EPIPE) causes the next error
 * itself, before any timer can run: without a limit the process would never end.
 */
const MAX_REPORTS = 100;
let reports = 0;

function report(logger: Logger, where: string, error: unknown, origin: string, state?: RequestState): void {
  if (reports === 0) setImmediate(() => (reports = 0));
  if (++reports > MAX_REPORTS) return;
  const fields = { origin, ...(state && fieldsOf(state)), error: describeThrown(error) };
  logger.error(fields, `uncaught error ${where}; the process finishes what is under way, and ends`);
}

function fieldsOf({ id, req }: RequestState): object {
  if (req !== undefined) return requestFields(req);
  return id === undefined ? {} : { requestId: id };
}

const ignore = () => {};
const NO_LOGGER: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
