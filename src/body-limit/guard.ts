import { AsyncResource } from "node:async_hooks";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { catchLateErrors, warnOfLate } from "../lib/express/late-errors.js";
import { failBody, pipesOf } from "../lib/request/fail-body.js";
import { abortRequest } from "../lib/request/state.js";
import { isHttp2 } from "../lib/request/transport.js";
import { closeAfter, dropBody, endConnection, truncate } from "../lib/response/close.js";
import { DEFAULT_LINGER_MS } from "../lib/response/early-response.js";
import { isFinished } from "../lib/response/end-hooks.js";
import { beforeHead } from "../lib/response/intercept.js";
import { atHead, isBegun, Replaceable, replaceResponse } from "../lib/response/replace.js";
import { bodyOf, type Reason } from "./body.js";
import type { BodyLimitPlan } from "./options.js";

/** The status, and what the answer says. */
export function refusalOf(reason: Reason, limit: number): { status: 408 | 413; detail: string } {
  return reason === "size"
    ? { status: 413, detail: `The body may have at most ${limit} bytes.` }
    : { status: 408, detail: "The body did not come in time." };
}

/** What one `bodyLimit` knows of one request whose body it has to watch. */
export class Guard extends Replaceable {
  /** Node's parser runs in the async context of the connection; the app's `render` needs that of the request. */
  private readonly context = new AsyncResource("express-portico");

  constructor(
    readonly plan: BodyLimitPlan,
    req: Request,
    res: Response,
  ) {
    super(req, res);
    beforeHead(res, headBegins, this);
  }

  /** Answers in the handler's place if that is possible, and fails the body for its readers. */
  refuse(reason: Reason): void {
    if (!this.req.destroyed) this.context.runInAsyncScope(refuse, undefined, this, reason);
  }
}

function refuse(guard: Guard, reason: Reason): void {
  const { req, res, state, plan } = guard;
  const { status, detail } = refusalOf(reason, plan.limit);
  const error = bodyError(status, detail, plan.limit);
  const pipes = pipesOf(req);
  if (state.late !== undefined || state.rendering || res.finished) {
    endRequest(req, res); // another answer is being sent, and is not replaced
  } else {
    state.refused = { by: "bodyLimit", reason };
    state.late = (late, logger) =>
      warnOfLate(req, late, error, "request failed after its body was refused", logger);
    catchLateErrors(req);
    if (isBegun(guard)) {
      state.truncated = true;
      failBody(req, res, error, pipes); // first: a reset of an HTTP/2 stream would fail it too
      truncate(res);
    } else {
      replaceResponse(guard, status, detail, true, "bodyLimit");
    }
    setImmediate(abortRequest, state, error); // after the readers have seen the error
  }
  failBody(req, res, error, pipes);
}

/** An error like those of the body parsers. */
function bodyError(status: 408 | 413, message: string, limit: number): Error {
  const type = status === 413 ? "entity.too.large" : "request.timeout";
  return Object.assign(new Error(message), { status, statusCode: status, expose: true, type, limit });
}

/** Runs before the head is written. */
function headBegins(res: ServerResponse, guard: Guard): void {
  const { req } = guard;
  // The connection does not wait for the rest of a body that was not read.
  if (atHead(res, guard) && bodyOf(req).isPending && !isHttp2(req)) closeAfter(req, res, DEFAULT_LINGER_MS);
}

/** Ends the connection, or drops the body, of a request that is answered before its body has ended. */
function endRequest(req: IncomingMessage, res: ServerResponse): void {
  if (isHttp2(req)) dropBody(req);
  else if (isFinished(res)) endConnection(req);
  else res.once("finish", () => endConnection(req));
}
