import type { Request } from "express";
import { refuseNext } from "../lib/config/not-called.js";
import { installFastSend } from "../lib/express/fast-send.js";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { contextOf, type RequestContext } from "../lib/request/context.js";
import { currentState, startScope } from "../lib/request/scope.js";
import type { Auth } from "../lib/request/state.js";
import { stateOf } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { isClosing, notePipelined } from "../lib/response/close.js";
import { watchTakeOver } from "../lib/response/take-over.js";
import { randomUuid } from "../lib/values/random.js";
import { asError, disregard } from "../lib/values/thrown.js";
import { orderCheck } from "./check-order.js";
import { checkProxy } from "./check-proxy.js";
import { checkOptions, type RequestContextOptions } from "./options.js";
import { followSpan } from "./span.js";

export { contextOf, type RequestContext } from "../lib/request/context.js";
export type { Auth, Trace } from "../lib/request/state.js";
export type { RequestContextOptions } from "./options.js";

const WELL_FORMED_ID = /^[\w\-=.:]{1,128}$/;

/**
 * Gives every request an id, a trace and an async scope.
 *
 * Place: first. Middleware before it does not have them. The response gets the id as `X-Request-Id`. A request that comes
 * after the last answer of its connection is dropped (RFC 9112 section 9.6). A second `requestContext` on the same request
 * does nothing. With OpenTelemetry, the request's span gets the route, the status and the error.
 *
 * @example
 * app.use(requestContext());
 *
 * @example
 * // Behind a proxy of your own that sets X-Request-Id:
 * app.use(requestContext({ trustRequestId: (req) => req.ip === "10.0.0.1" }));
 *
 * @throws {ConfigError} with all problems of the options
 */
export function requestContext(options?: RequestContextOptions): Handler {
  const { trustRequestId, check, render } = checkOptions(options);
  const checks = check && process.env.NODE_ENV !== "production";
  let checkOrder = checks ? orderCheck() : undefined;
  let looksForProxies = checks;
  let lastApp: unknown;

  return describeHandler(
    function requestContext(req, res, next) {
      adopt(req, res);
      if (isClosing(req.socket)) return;
      if (res.socket === null) notePipelined(res);
      const state = stateOf(req);
      if (state.entered) return next();
      state.entered = true;
      checkOrder?.(req, res);
      checkOrder = undefined;
      if (looksForProxies) looksForProxies = !checkProxy(req);
      if (req.app !== lastApp) {
        lastApp = req.app;
        installFastSend(lastApp); // `serve` has done it already, `app.listen` has not
      }
      state.method ??= req.method;
      state.req = req;
      state.res = res;
      state.next = next;
      if (render !== undefined) state.render = render;
      try {
        state.id ??= trustedId(req, trustRequestId) ?? randomUuid();
      } catch (error) {
        return next(asError(error));
      }
      res.setHeader("X-Request-Id", state.id);
      watchTakeOver(req, res);
      followSpan(state, req, res);
      startScope(state, req, res, next);
    },
    { concern: "context" },
  );
}

/** The context of the current request, anywhere after `requestContext`: there is no need to pass `req` down. */
export function currentContext<Principal extends object = Auth["principal"]>():
  | RequestContext<Principal>
  | undefined;
export function currentContext(_req?: unknown, _res?: unknown, next?: unknown): RequestContext | undefined {
  refuseNext("currentContext", "currentContext() in a handler", next);
  const req = currentState()?.req;
  return req && contextOf(req);
}

/** The caller's id, if it is valid and trusted. Node joins two such headers with a comma, which is not valid. */
function trustedId(req: Request, trusted: (req: Request) => boolean): string | undefined {
  const sent = req.headers["x-request-id"];
  if (typeof sent !== "string" || !WELL_FORMED_ID.test(sent)) return undefined;
  const isTrusted: unknown = trusted(req);
  disregard(isTrusted);
  return isTrusted === true ? sent : undefined;
}
