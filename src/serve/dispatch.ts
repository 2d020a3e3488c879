import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { stateOf } from "../lib/request/state.js";
import { isHttp2 } from "../lib/request/transport.js";
import { truncate } from "../lib/response/close.js";
import { send } from "../lib/response/send.js";
import { describeThrown, isThenable } from "../lib/values/thrown.js";
import { catchRejections } from "./express4.js";
import { isExpressApp, meetApps } from "./http2/bridge.js";
import type { ServePlan } from "./options.js";
import { ownAnswer, sendOwn } from "./own-answers.js";
import { refuseParsed } from "./refused.js";
import { checkHead } from "./request-head.js";

/** Answers what must not reach the app: malformed heads, the probes, `OPTIONS *`. Returns whether it did. */
export function answerBefore(
  { logger, probes }: ServePlan,
  isDraining: () => boolean,
): (req: IncomingMessage, res: ServerResponse) => boolean {
  return (req, res) => {
    const fault = checkHead(req);
    if (fault !== undefined) {
      refuseParsed(req, res, fault, logger);
      return true;
    }
    const own = ownAnswer(req, probes, isDraining);
    if (own !== undefined) sendOwn(req, res, own);
    return own !== undefined;
  };
}

/** The server's 'request' listener: calls the app. */
export function dispatch(app: RequestListener, { logger, server }: ServePlan): RequestListener {
  const mayBeTaken = server !== undefined;
  const mayCallApps = !isExpressApp(app); // a plain listener may call Express apps that are not bridged yet
  const isReady = catchRejections(app);
  let ready = isReady();
  return function dispatch(req, res) {
    if (!ready) ready = isReady();
    if (mayBeTaken && isTaken(req, res)) return;
    if (mayCallApps && isHttp2(req)) meetApps(req);
    try {
      const returned: unknown = app(req, res);
      if (isThenable(returned)) returned.then(undefined, (error) => failed(error, req, res, logger));
    } catch (error) {
      failed(error, req, res, logger);
    }
  };
}

/** Whether an earlier listener handles the request: an Express app and engine.io both set `req.res`. */
function isTaken(req: IncomingMessage, res: ServerResponse): boolean {
  return Object.hasOwn(req, "res") || res.headersSent || res.writableEnded;
}

/** Handles an error that a plain listener throws; Express catches its own. Only this request fails. */
function failed(
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
