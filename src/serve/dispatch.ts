import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { MEMBERS } from "../lib/express/handler.js";
import { catchRejections } from "../lib/express/rejections.js";
import type { Monitor } from "../lib/health/monitor.js";
import { pathOf } from "../lib/http/target.js";
import { stateOf } from "../lib/request/state.js";
import { isHttp2 } from "../lib/request/transport.js";
import { closeAfter, dropBody, lingerOnClose, shouldCloseEarly, truncate } from "../lib/response/close.js";
import { DEFAULT_LINGER_MS } from "../lib/response/early-response.js";
import { send } from "../lib/response/send.js";
import { describeThrown, isThenable } from "../lib/values/thrown.js";
import { answerMalformed } from "./client-errors.js";
import { bridgeOnFirstUse, isBridgeable } from "./http2/bridge.js";
import type { ServePlan } from "./plan.js";
import { checkHead } from "./request-head.js";

/** Answers what must not reach the app: malformed heads, the probes, `OPTIONS *`. Returns whether it did. */
export function answerBeforeApp(
  { logger, probes }: ServePlan,
  isDraining: () => boolean,
  checks: Monitor | undefined,
): (req: IncomingMessage, res: ServerResponse) => boolean {
  return (req, res) => {
    const problem = checkHead(req);
    if (problem !== undefined) {
      answerMalformed(req, res, problem, logger);
      return true;
    }
    const response = builtInResponse(req, probes, isDraining, checks);
    if (response !== undefined) sendBuiltIn(req, res, response);
    return response !== undefined;
  };
}

/** The server's 'request' listener: calls the app. */
export function dispatch(app: RequestListener, { logger, server }: ServePlan): RequestListener {
  const mayBeHandled = server !== undefined;
  const mayCallUnbridgedApps = !isBridgeable(app); // a plain listener may call Express apps that are not bridged yet
  const isReady = catchRejections(app);
  let ready = isReady();
  const listener: RequestListener = function dispatch(req, res) {
    if (!ready) ready = isReady();
    // csrf needs the method before a method override changes it. GET is safe, so it need not be noted.
    if (req.method !== "GET") stateOf(req).method = req.method;
    if (mayBeHandled && isHandled(req, res)) return;
    if (mayCallUnbridgedApps && isHttp2(req)) bridgeOnFirstUse(req);
    try {
      const returned: unknown = app(req, res);
      if (isThenable(returned)) returned.then(undefined, (error) => onAppError(error, req, res, logger));
    } catch (error) {
      onAppError(error, req, res, logger);
    }
  };
  return Object.defineProperty(listener, MEMBERS, { value: [app] }); // the inspector finds its servers by it
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

/**
 * The response that the server sends itself, before the app: to probes, and to `OPTIONS *`, which is about the server as
 * a whole (RFC 9110 section 9.3.7). Undefined for all other requests.
 */
export function builtInResponse(
  req: IncomingMessage,
  { live, ready }: ServePlan["probes"],
  isDraining: () => boolean,
  checks: Monitor | undefined,
): BuiltIn | undefined {
  const { method } = req;
  if (method === "OPTIONS" && req.url === "*") return { status: 200, body: "" };
  if (live === undefined && ready === undefined) return undefined;
  if (method !== "GET" && method !== "HEAD") return undefined;
  const path = pathOf(req);
  if (path === live) return { status: 200, body: "ok\n" };
  if (path !== ready) return undefined;
  if (checks !== undefined) return { ...checks.answer(isDraining(), false), type: "application/json" };
  return isDraining() ? { status: 503, body: "draining\n" } : { status: 200, body: "ok\n" };
}

interface BuiltIn {
  readonly status: number;
  readonly body: string;
  /** Plain text by default. */
  readonly type?: string;
}

export function sendBuiltIn(
  req: IncomingMessage,
  res: ServerResponse,
  { status, body, type = "text/plain; charset=utf-8" }: BuiltIn,
): void {
  res.statusCode = status;
  res.setHeader("Content-Length", body.length);
  if (body !== "") {
    res.setHeader("Content-Type", type);
    res.setHeader("Cache-Control", "no-store");
  }
  // After a 503 the load balancer should not keep the connection. An HTTP/2 session has other requests on it.
  if ((status === 503 && !isHttp2(req)) || shouldCloseEarly(req)) {
    closeAfter(req, res, DEFAULT_LINGER_MS);
    lingerOnClose(req);
  }
  res.end(body);
  dropBody(req);
}
