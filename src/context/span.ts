import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { routeOf } from "../lib/express/route-template.js";
import { isKnownMethod } from "../lib/http/method.js";
import type { RequestState } from "../lib/request/state.js";
import { traceOfSpan } from "../lib/request/trace.js";
import { isServed } from "../lib/request/transport.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { beforeHead } from "../lib/response/intercept.js";
import { faultOf, outcomeOf } from "../lib/response/outcome.js";
import { SWITCHED } from "../lib/response/take-over.js";
import { describeThrown } from "../lib/values/thrown.js";

/** The span of a request and the data to describe it. */
interface Traced {
  readonly span: Span;
  readonly rpc: RpcMetadata | undefined;
  /** The span's name when the request came. A name that was set since then is kept. */
  readonly name: string | undefined;
  readonly req: IncomingMessage;
  readonly state: RequestState;
  readonly app: unknown;
  readonly socket: Socket;
  /** The error was recorded on the span. */
  recorded: boolean;
}

const KIND_SERVER = 1;
const STATUS_UNSET = 0;
const STATUS_ERROR = 2;
const RPC_METADATA = Symbol.for("OpenTelemetry SDK Context Key RPC_METADATA");

/**
 * Takes the request's trace from its span of OpenTelemetry, and sets the route, the status and the error on that span.
 * Does nothing without OpenTelemetry. An error in OpenTelemetry does not change the request.
 */
export function followSpan(state: RequestState, req: IncomingMessage, res: ServerResponse): void {
  try {
    const context = (globalThis as { [REGISTRY]?: Registry })[REGISTRY]?.context?.active();
    if (context === undefined) return; // no SDK
    const traced = tracedBy(context, state, req);
    if (traced === undefined) return;
    beforeHead(res, describeHeadSafely, traced);
    // The instrumentation, which ends the span on 'close', has registered its listener before.
    if (isServed(req, res)) res.prependListener("close", () => describeEndSafely(res, traced));
    else onEnd(req, res, describeEndSafely, traced); // an adapter may emit no 'close'; its caller ends the span later
  } catch {
    // The trace is then the caller's or a new one.
  }
}

function tracedBy(active: Context, state: RequestState, req: IncomingMessage): Traced | undefined {
  const rpc = active.getValue(RPC_METADATA) as RpcMetadata | undefined;
  const span = rpc?.span ?? (active.getValue(SPAN) as Span | undefined); // the active span may be that of a middleware
  if (span === undefined) return undefined;
  const spanContext = span.spanContext();
  if (!isValid(spanContext)) return undefined;
  state.trace ??= traceOfSpan(spanContext);
  const { app } = req as { app?: unknown };
  return { span, rpc, name: span.name, req, state, app, socket: req.socket, recorded: false };
}

const describeHeadSafely = safely(describeHead);
const describeEndSafely = safely(describeEnd);

/** An error of the span must not change the request. */
function safely(describe: (res: ServerResponse, traced: Traced) => void): typeof describe {
  return (res, traced) => {
    try {
      describe(res, traced);
    } catch {
      // The span lacks what was to be described.
    }
  };
}

function describeHead(res: ServerResponse, traced: Traced): void {
  const { span, state } = traced;
  nameRoute(traced);
  if (!span.isRecording()) return;
  const { statusCode } = res;
  span.setAttribute("http.response.status_code", statusCode);
  if (statusCode < 500 || traced.recorded) return;
  if (state.failed) setThrown(traced, state.error);
  else setError(traced, state.timedOut ? "timeout" : String(statusCode));
}

/** Describes what happened after the head, or without a head. A client that has left is not an error of the server. */
function describeEnd(res: ServerResponse, traced: Traced): void {
  const { span, req, state, socket } = traced;
  if (!res.headersSent) nameRoute(traced);
  if (traced.recorded || !span.isRecording()) return;
  const outcome = outcomeOf(req, res, socket);
  if (outcome === "upgraded") span.setAttribute("http.response.status_code", SWITCHED);
  if (outcome === "aborted" || (outcome === "complete" && is4xx(res.statusCode))) return;
  const fault = state.failed ? state.error : faultOf(res, socket);
  if (state.failed || fault !== undefined) setThrown(traced, fault);
  else if (state.timedOut) setError(traced, "timeout");
}

function is4xx(status: number): boolean {
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

function setThrown(traced: Traced, error: unknown): void {
  const { type, message, stack } = describeThrown(error);
  traced.recorded = true;
  setError(traced, type, message);
  traced.span.recordException({ name: type, message, ...(stack !== undefined && { stack }) });
}

/** Sets the error. A status that was set before is kept. */
function setError(traced: Traced, type: string, message?: string): void {
  const { span } = traced;
  span.setAttribute("error.type", type);
  if ((span.status?.code ?? STATUS_UNSET) !== STATUS_UNSET) return;
  span.setStatus({ code: STATUS_ERROR, ...(message !== undefined && { message }) });
}

// The parts of OpenTelemetry that are used here, as types of our own: `@opentelemetry/api` need not be installed.

interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

interface Span {
  spanContext(): SpanContext;
  isRecording(): boolean;
  setAttribute(name: string, value: string | number): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  updateName(name: string): unknown;
  recordException(exception: { name: string; message: string; stack?: string }): unknown;
  // Not in the API, but on the SDK's spans.
  readonly kind?: number;
  readonly name?: string;
  readonly status?: { readonly code: number };
}

/** Kept by the instrumentation of `node:http` for other libraries. It names the span and the metrics by the route. */
interface RpcMetadata {
  readonly span?: Span;
  route?: string;
}

/** A context of OpenTelemetry. */
interface Context {
  getValue(key: symbol): unknown;
}

interface Registry {
  readonly context?: { active(): Context } | undefined;
}

/**
 * All copies and 1.x versions of `@opentelemetry/api` keep what an SDK has registered under this symbol. So the package
 * need not be loaded or bundled.
 */
const REGISTRY = Symbol.for("opentelemetry.js.api.1");
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");

/** W3C Trace Context, section 3.2.2: ids of only zeros are invalid. */
function isValid({ traceId, spanId }: SpanContext): boolean {
  return /^(?!0{32})[\da-f]{32}$/i.test(traceId) && /^(?!0{16})[\da-f]{16}$/i.test(spanId);
}
