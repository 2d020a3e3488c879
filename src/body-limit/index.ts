import type { IncomingMessage, ServerResponse } from "node:http";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { stateOf } from "../lib/request/state.js";
import { adopt, hasBody, isHttp2, isServed } from "../lib/request/transport.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { bodyOf } from "./body.js";
import { Guard, refusalOf } from "./guard.js";
import { type BodyLimitOptions, checkOptions } from "./options.js";

export type { BodyLimitOptions } from "./options.js";

/**
 * Limits the bytes of a request's body, and with `timeMs` the time that it takes, for every reader: a body parser, multer,
 * busboy, a pipe, a proxy, `for await`. Nothing is buffered. Like Go's `http.MaxBytesHandler`.
 *
 * A `Content-Length` over the limit is answered with a 413 at once. A longer body of unknown length fails for its reader,
 * with an error of status 413 and the type `entity.too.large`, the client gets a 413, and what the handler still does with
 * the response is discarded.
 *
 * Place: after `cors`, `csrf` and `timeout`, before everything that reads a body. Of two limits the smaller counts: mount
 * routes with a larger limit above it.
 *
 * @param limit the bytes, or a text such as `"100kb"`, or all options
 *
 * @example
 * app.use(bodyLimit("1mb"));
 *
 * @example
 * app.use(bodyLimit({ limit: "100kb", timeMs: 10_000 }));
 *
 * @throws {ConfigError} with all problems of the options
 * @see docs/body-limit.md
 */
export function bodyLimit(limit: number | string | BodyLimitOptions): Handler {
  const plan = checkOptions(limit);
  return describeHandler(
    function bodyLimit(req, res, next) {
      adopt(req, res);
      if (!hasBody(req) || isUpgraded(req) || res.headersSent || res.writableEnded) return next();
      if (knownLength(req) > plan.limit) {
        const { status, detail } = refusalOf("size", plan.limit);
        stateOf(req).refused = { by: "bodyLimit", reason: "size" };
        return answerProblem(req, res, status, { detail }, { close: !isHttp2(req) });
      }
      if (!isLengthCertain(req, res) || (plan.timeMs !== undefined && !req.complete)) {
        const body = bodyOf(req);
        if (body.needs(plan) && !body.add(new Guard(plan, req, res))) return;
      }
      next();
    },
    { concern: "bodyLimit", limit: plan.limit, timed: plan.timeMs !== undefined },
  );
}

/** A connection that was taken over (a WebSocket) carries no body. */
function isUpgraded(req: IncomingMessage): boolean {
  return (req as { readonly upgrade?: unknown }).upgrade === true;
}

/** The length that the client declares; else, what has come while earlier middleware waited. */
function knownLength(req: IncomingMessage): number {
  const length = Number(req.headers["content-length"]);
  return length >= 0 ? length : req.readableLength;
}

/** Whether the body cannot become longer: Node's parser of HTTP/1 ends it at its declared length. */
function isLengthCertain(req: IncomingMessage, res: ServerResponse): boolean {
  if (req.complete) return true;
  if (isHttp2(req) || !isServed(req, res)) return false;
  return req.headers["transfer-encoding"] === undefined;
}
