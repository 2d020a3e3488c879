import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { stateOf } from "../lib/request/state.js";
import { isHttp2 } from "../lib/request/transport.js";
import { truncate } from "../lib/response/close.js";
import { send } from "../lib/response/send.js";
import { describeThrown, isThenable } from "../lib/values/thrown.js";
import { builtInResponse, sendBuiltIn } from "./built-in-responses.js";
import { answerMalformed } from "./client-errors.js";
import { catchRejections } from "./express4.js";
import { bridgeOnFirstUse, isExpressApp } from "./http2/bridge.js";
import type { ServePlan } from "./options.js";
import { checkHead } from "./request-head.js";

/** Answers what must not reach the app: malformed heads, the probes, `OPTIONS *`. Returns whether it did. */
export function answerBeforeApp(
  { logger, probes }: ServePlan,
  isDraining: () => boolean,
): (req: IncomingMessage, res: ServerResponse) => boolean {
  return (req, res) => {
    const problem = checkHead(req);
    if (problem !== undefined) {
      answerMalformed(req, res, problem, logger);
      return true;
    }
    const response = builtInResponse(req, probes, isDraining);
    if (response !== undefined) sendBuiltIn(req, res, response);
    return response !== undefined;
  };
}

/** The server's 'request' listener: calls the app. */
export function dispatch(app: RequestListener, { logger, server }: ServePlan): RequestListener {
  const mayBeHandled = server !== undefined;
  const mayCallUnbridgedApps = !isExpressApp(app); // a plain listener may call Express apps that are not bridged yet
  const isReady = catchRejections(app);
  let ready = isReady();
  return function dispatch(req, res) {
    if (!ready) ready = isReady();
    if (mayBeHandled && isHandled(req, res)) return;
    if (mayCallUnbridgedApps && isHttp2(req)) bridgeOnFirstUse(req);
    try {
      const returned: unknown = app(req, res);
      if (isThenable(returned)) returned.then(undefined, (error) => onAppError(error, req, res, logger));
    } catch (error) {
      onAppError(error, req, res, logger);
    }
  };
}

/** Whether an earlier listener handles the request: an Express app and engine.io both set `req.res`. */
function isHandled(req: IncomingMessage, res: ServerResponse): boolean {
  return Object.hasOwn(req, "res") || res.headersSent || res.writableEnded;
}

/** Handles an error that a plain listener throws; Express catches its own. Only this request fails. */
function onAppError(
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  logger: ServePlan["logger"],
): void {
  const { id } = stateOf(req);
  logger.error({ ...(id !== undefined && { requestId: id }), error: describeThrown(error) }, "the app threw");
  if (res.writableEnded || res.destroyed) return;
  if (!res.headersSent) {
    send(req, res, 500, "text/plain; charset=utf-8", "500\n", { close: true });
    return;
  }
  stateOf(req).truncated = true;
  truncate(res);
}
