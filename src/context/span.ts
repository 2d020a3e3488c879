import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { isKnownMethod } from "../lib/http/method.js";
import type { RequestState } from "../lib/request/state.js";
import { isServed } from "../lib/request/transport.js";
import { beforeHead, onEnd } from "../lib/response/hooks.js";
import { faultOf, outcomeOf } from "../lib/response/outcome.js";
import { SWITCHED } from "../lib/response/take-over.js";
import { describeThrown } from "../lib/values/thrown.js";
import {
  activeContext,
  type Context,
  isValid,
  type RpcMetadata,
  type Span,
  spanOf,
} from "./open-telemetry.js";
import { routeOf } from "./route.js";
import { traceOfSpan } from "./trace.js";

/** The span of a request, and what must be known to describe it. */
interface Traced {
  readonly span: Span;
  readonly rpc: RpcMetadata | undefined;
  /** The span's name when the request came: one that somebody has given it since stays. */
  readonly name: string | undefined;
  readonly req: IncomingMessage;
  readonly state: RequestState;
  readonly app: unknown;
  readonly socket: Socket;
  /** The error is known to the span, not only that there was one. */
  recorded: boolean;
}

const KIND_SERVER = 1;
const STATUS_UNSET = 0;
const STATUS_ERROR = 2;
const RPC_METADATA = Symbol.for("OpenTelemetry SDK Context Key RPC_METADATA");

/**
 * Makes the request's trace that of the span it is served in, and tells that span of the route, the status and the
 * error. Nothing, if OpenTelemetry is not at work; a fault in it changes no request.
 */
export function followSpan(state: RequestState, req: IncomingMessage, res: ServerResponse): void {
  try {
    const context = activeContext();
    if (context === undefined) return;
    const traced = tracedBy(context, state, req);
    if (traced === undefined) return;
    beforeHead(res, describeHead, traced);
    // Who ends the span at the end of the response has come before, and would be told before.
    if (isServed(req, res)) res.prependListener("close", () => guard(describeEnd, res, traced));
    else onEnd(req, res, guardEnd, traced); // there may be no 'close'; an adapter's caller ends the span later
  } catch {
    // The trace is then the caller's, or a new one.
  }
}

function tracedBy(active: Context, state: RequestState, req: IncomingMessage): Traced | undefined {
  const rpc = active.getValue(RPC_METADATA) as RpcMetadata | undefined;
  const span = rpc?.span ?? spanOf(active); // in between there can be a span of the middleware itself
  if (span === undefined) return undefined;
  const spanContext = span.spanContext();
  if (!isValid(spanContext)) return undefined;
  state.trace ??= traceOfSpan(spanContext);
  const { app } = req as { app?: unknown };
  return { span, rpc, name: span.name, req, state, app, socket: req.socket, recorded: false };
}

function guard(
  describe: (res: ServerResponse, traced: Traced) => void,
  res: ServerResponse,
  traced: Traced,
): void {
  try {
    describe(res, traced);
  } catch {
    // The span is somebody else's; what it cannot take is lost to the trace alone.
  }
}

function guardEnd(res: ServerResponse, traced: Traced): void {
  guard(describeEnd, res, traced);
}

function describeHead(res: ServerResponse, traced: Traced): void {
  guard(describe, res, traced);
}

function describe(res: ServerResponse, traced: Traced): void {
  const { span, state } = traced;
  nameRoute(traced);
  if (!span.isRecording()) return;
  const { statusCode } = res;
  span.setAttribute("http.response.status_code", statusCode);
  if (statusCode < 500 || traced.recorded) return;
  if (state.failed) fail(traced, state.error);
  else failAs(traced, state.timedOut ? "timeout" : String(statusCode));
}

/** What has come after the head, or instead of one. That the client has left is not an error of the server's. */
function describeEnd(res: ServerResponse, traced: Traced): void {
  const { span, req, state, socket } = traced;
  if (!res.headersSent) nameRoute(traced);
  if (traced.recorded || !span.isRecording()) return;
  const outcome = outcomeOf(req, res, socket);
  if (outcome === "upgraded") span.setAttribute("http.response.status_code", SWITCHED);
  if (outcome === "aborted" || (outcome === "complete" && isClientError(res.statusCode))) return;
  const fault = state.failed ? state.error : faultOf(res, socket);
  if (state.failed || fault !== undefined) fail(traced, fault);
  else if (state.timedOut) failAs(traced, "timeout");
}

function isClientError(status: number): boolean {
  return status >= 400 && status < 500;
}

function nameRoute({ span, rpc, name, req, state, app }: Traced): void {
  const route = state.route ?? routeOf(req, app);
  if (route === undefined) return;
  if (rpc !== undefined) rpc.route = route;
  if (!span.isRecording()) return;
  span.setAttribute("http.route", route);
  const { method = "" } = req;
  if (span.kind === KIND_SERVER && span.name === name) {
    span.updateName(`${isKnownMethod(method) ? method : "HTTP"} ${route}`);
  }
}

function fail(traced: Traced, error: unknown): void {
  const { type, message, stack } = describeThrown(error);
  traced.recorded = true;
  failAs(traced, type, message);
  traced.span.recordException({ name: type, message, ...(stack !== undefined && { stack }) });
}

/** A status that somebody has set is theirs. */
function failAs(traced: Traced, type: string, message?: string): void {
  const { span } = traced;
  span.setAttribute("error.type", type);
  if ((span.status?.code ?? STATUS_UNSET) !== STATUS_UNSET) return;
  span.setStatus({ code: STATUS_ERROR, ...(message !== undefined && { message }) });
}
