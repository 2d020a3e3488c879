import type { ServerResponse } from "node:http";
import type { Logger } from "../config/logger.js";
import { leaveScope, ownerOf, runAsOwner, upgradedSocket } from "../context/scope.js";
import { answer, DEFAULT_LINGER_MS } from "../http/answer.js";
import { closeAfter, truncate } from "../http/connection.js";
import type { Facts } from "../http/facts.js";
import { onEnd } from "../http/response-hooks.js";
import { asError, describeThrown } from "../http/thrown.js";

/**
 * Gives an error that nobody caught to the request it came from: to the `next` that `requestContext` was given, and so
 * to the app's own error handlers. Whose it is must be certain: without an owner nobody is answered.
 */
export function handOver(error: unknown, origin: string, logger: Logger): void {
  const owner = ownerOf(error);
  try {
    if (owner === undefined) report(logger, "uncaught error outside of any request", error, origin);
    else runAsOwner(owner, () => settle(owner, error, origin, logger));
  } finally {
    leaveScope();
  }
}

function settle(owner: Facts, error: unknown, origin: string, logger: Logger): void {
  const { id, res, next } = owner;
  const socket = upgradedSocket(owner);
  if (socket !== undefined) {
    report(logger, "uncaught error in an upgraded connection; it was dropped", error, origin, id);
    socket.destroy(); // whatever it speaks now, it is not HTTP
  } else if (res === undefined || next === undefined) {
    report(logger, "uncaught error in a request that cannot be answered for", error, origin, id);
  } else if (isOver(res)) {
    report(logger, "uncaught error in a request that was over", error, origin, id);
    owner.late?.(error, MUTE); // who asked to be told of errors after a timeout
  } else if (owner.isOutOfBand || owner.failed) {
    // Its answer is on the way, and there is only one. Unless it is that way on which this went wrong.
    report(logger, "another uncaught error in a request", error, origin, id);
    if (!owner.answering) insist(res);
  } else {
    owner.isOutOfBand = true;
    give(owner, res, next, error, origin, logger);
  }
}

function isOver(res: ServerResponse): boolean {
  if (res.writableEnded || res.destroyed || res.req.socket?.destroyed) return true;
  const { stream } = res as unknown as { readonly stream?: { readonly closed: boolean } };
  return stream?.closed === true; // while Node tells of a client that left, it is not yet destroyed
}

function give(
  owner: Facts,
  res: ServerResponse,
  next: (error?: unknown) => void,
  error: unknown,
  origin: string,
  logger: Logger,
): void {
  onEnd(
    res.req,
    res,
    () => {
      // If `recover` has seen it, it has logged it.
      if (!owner.failed) report(logger, "uncaught error in a request", error, origin, owner.id);
    },
    undefined,
  );
  if (res.headersSent) {
    owner.cut = true;
    truncate(res); // before anybody else ends it, and it passes for whole
  } else {
    closeAfter(res.req, res, DEFAULT_LINGER_MS);
  }
  try {
    next(asError(error));
  } catch (fault) {
    report(logger, "the app's error handling threw", fault, origin, owner.id);
    if (res.headersSent) truncate(res);
    else answerPlainly(res);
  }
}

/** How long the app's error handling may take to answer, when more has gone wrong. */
const PATIENCE_MS = 1_000;

function insist(res: ServerResponse): void {
  const timer = setTimeout(answerPlainly, PATIENCE_MS, res);
  res.once("close", () => clearTimeout(timer));
}

function answerPlainly(res: ServerResponse): void {
  answer(res.req, res, 500, "text/plain; charset=utf-8", "500\n", { close: true });
}

function report(logger: Logger, message: string, error: unknown, origin: string, requestId?: string): void {
  logger.error(
    { origin, ...(requestId !== undefined && { requestId }), error: describeThrown(error) },
    message,
  );
}

const ignore = () => {};
const MUTE: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
