import type { Logger } from "../config/logger.js";
import { leaveScope, ownerOf } from "../context/scope.js";
import { truncate } from "../http/connection.js";
import type { Facts } from "../http/facts.js";
import { onEnd } from "../http/response-hooks.js";
import { asError, describeThrown } from "../http/thrown.js";

/**
 * Gives an error that nobody caught to the request it came from: to the `next` that `requestContext` was given, and so
 * to the app's own error handlers. Whose it is must be certain: without an owner nobody is answered.
 */
export function handOver(error: unknown, origin: string, logger: Logger): void {
  const owner = ownerOf(error);
  leaveScope();
  if (owner?.res === undefined || owner.next === undefined) {
    logger.error({ origin, error: describeThrown(error) }, "uncaught error outside of any request");
    return;
  }
  const { id, res } = owner;
  if (res.writableEnded || res.destroyed) {
    logger.error(
      { origin, requestId: id, error: describeThrown(error) },
      "uncaught error in a request that was over",
    );
    return;
  }
  if (owner.failed) {
    // Its answer is on the way: a second one there is not.
    logger.error(
      { origin, requestId: id, error: describeThrown(error) },
      "another uncaught error in a request",
    );
    return;
  }
  give(owner, res, error, origin, logger);
}

function give(
  owner: Facts,
  res: NonNullable<Facts["res"]>,
  error: unknown,
  origin: string,
  logger: Logger,
): void {
  onEnd(
    res.req,
    res,
    () => {
      if (owner.failed) return; // `recover` has seen it, and logged it
      logger.error(
        { origin, requestId: owner.id, error: describeThrown(error) },
        "uncaught error in a request",
      );
    },
    undefined,
  );
  if (res.headersSent) {
    owner.cut = true;
    truncate(res);
  } else if (res.req.httpVersionMajor < 2) {
    res.setHeader("Connection", "close");
  }
  owner.isOutOfBand = true;
  try {
    owner.next!(asError(error));
  } catch (fault) {
    logger.error({ requestId: owner.id, error: describeThrown(fault) }, "an error handler threw");
    truncate(res);
  }
}
