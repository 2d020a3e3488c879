import type { IncomingMessage, ServerResponse } from "node:http";
import type { RenderProblem } from "../http/problem.js";
import type { Logger } from "../log/logger.js";
import type { Redaction } from "../log/redact.js";

/** What `authenticate` knows of the caller. */
export interface Auth<Principal extends object = Readonly<Record<string, unknown>>> {
  readonly scheme: "bearer" | "basic" | "apiKey" | "jwt";
  readonly principal: Principal;
}

/** W3C Trace Context: of OpenTelemetry's active span, else the caller's `traceparent`, else a new trace. */
export interface Trace {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits: the active span, else the caller's (its parent-id field), else a new one. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** The `traceparent` for a request to another service. */
  toString(): string;
}

/**
 * Why a middleware refused a request: closed sets, so that a log or a metric can group by them. They are for the
 * operator; each middleware decides what the client sees of them.
 */
export type Refusal =
  | { readonly by: "cors"; readonly reason: "origin" | "method" | "header" }
  | { readonly by: "csrf"; readonly reason: "sec-fetch-site" | "origin" | "origin-null" }
  | { readonly by: "allowedHosts"; readonly reason: "missing" | "malformed" | "repeated" | "not-listed" }
  | { readonly by: "bodyLimit"; readonly reason: "size" | "time" }
  | { readonly by: "loadShed"; readonly reason: "limit" | "queue" | "delay" }
  | { readonly by: "timeout"; readonly reason: "deadline" | "idle" | "total" }
  | { readonly by: "auth"; readonly reason: AuthReason };

/** Why credentials, or the caller, were refused. */
export type AuthReason =
  | "missing"
  | "malformed"
  | "expired"
  | "not-yet-valid"
  | "bad-signature"
  | "wrong-issuer"
  | "wrong-audience"
  | "scope"
  | "rejected"
  | "forbidden";

/** A request log's record of a request. */
export interface RequestRecord {
  /** The logger that will write it, as the app gave it, if the record may contain an error's stack. */
  readonly takesErrors: object | undefined;
  /** Whether it is not yet written. */
  isOpen: boolean;
  /** The record of another request log. */
  readonly other: RequestRecord | undefined;
}

/** A place among the requests in flight that a `loadShed` has given to a request. */
export interface HeldPlace {
  /** That of another `loadShed`, which the request has passed before. */
  readonly outer: HeldPlace | undefined;
  /** Whose it is: the same middleware mounted twice gives one place. */
  readonly owner: object;
  /** Gives it back. Later calls do nothing. */
  release(): void;
}

/** An error that is not logged yet, as its request's record will contain it. */
export interface UnloggedError {
  readonly logger: object;
  readonly level: keyof Logger;
  /** Of a server error. */
  readonly stack: string | undefined;
  /** Logs it on its own, if the record is not written. */
  readonly log: () => void;
}

/** A registry or meter that counts a request, and the one that did so before. */
export interface Counted {
  readonly target: object;
  readonly other: Counted | undefined;
}

/** What the inspector collects of a request from the middleware that know it. */
export interface Inspection {
  /** The redaction of the request log: what it hides, the inspector hides too. */
  redaction: Redaction | undefined;
  /** The record that the request log has written. */
  record: object | undefined;
  /** The violation reports that came in this request, as `cspReports` logs them. */
  readonly reports: object[];
  /**
   * A head was written directly to the connection.
   *
   * @param isNow code of this request writes it; false: it was written before the app was called
   */
  takenOver(status: number, isNow: boolean): void;
}

type Emit = (name: string | symbol, ...args: unknown[]) => boolean;

/**
 * The request state: all that our middleware share about one request, as plain data. It is kept under a registered symbol,
 * so that two installed copies of the package share it.
 */
export class RequestState {
  /** `requestContext` has seen this request. */
  entered = false;
  /** Known once `requestContext` has run: `currentContext` needs it. */
  req: IncomingMessage | undefined = undefined;
  /** The `RequestContext` of this request, made on first use. */
  view: unknown = undefined;
  /** The method that came on the wire, if it is known: a method override may change `req.method`. */
  method: string | undefined = undefined;
  id: string | undefined = undefined;
  trace: Trace | undefined = undefined;
  /** Made on first use of `contextOf(req).signal`. */
  controller: AbortController | undefined = undefined;
  /** Made on first use of `contextOf(req).closing`. */
  closing: AbortSignal | undefined = undefined;
  /** Set by the first middleware that runs; `contextOf` needs it to see that the client has left. */
  res: ServerResponse | undefined = undefined;
  /** The `next` of `requestContext`: uncaught errors of this request are passed to it. */
  next: ((error?: unknown) => void) | undefined = undefined;
  /** What `emit` of the request and the response was before `requestContext` put its scope around it. */
  emits: { readonly req: Emit; readonly res: Emit } | undefined = undefined;
  /** An uncaught error of this request was passed to `next`; the next one is not. */
  hasUncaught = false;
  auth: Auth | undefined = undefined;
  /** The challenge of the scheme that passed, for `requireScopes`. */
  challenge: { readonly type: string; readonly parameters?: string } | undefined = undefined;
  /** The challenges of an optional `authenticate`, for a later refusal of an anonymous caller. */
  wanted: { readonly challenges: readonly string[]; readonly vary: string } | undefined = undefined;
  /** Whether an error was handled for this request; `error` does not show it, because `undefined` can be thrown. */
  failed = false;
  error: unknown = undefined;
  /** The first error that a chain saw, handled there or not. */
  noted: { readonly error: unknown } | undefined = undefined;
  /** The last middleware that refused this request, and why. */
  refused: Refusal | undefined = undefined;
  /** The app's `render`, for refusals and errors. */
  render: RenderProblem | undefined = undefined;
  /** An error's answer is on its way, or sent: there is only one. */
  answering = false;
  /** The app's `render` writes an answer. Its status is decided: neither `timeout` nor `bodyLimit` replaces the answer. */
  rendering = false;
  /** A timeout has answered in the handler's place, or truncated its response. */
  timedOut = false;
  /** The state of the innermost timeout. */
  watch: unknown = undefined;
  /** Why `contextOf(req).signal` is aborted, if not because the client left; the signal may be made later. */
  reason: unknown = undefined;
  /** Takes late errors, after a timeout: they are reported and not answered. */
  late: ((error: unknown, logger?: Logger) => void) | undefined = undefined;
  /** The server truncated the response; the client did not leave. */
  truncated = false;
  /** The status of a head written directly to the connection: 101 by a WebSocket server; 0 before that. */
  takenOver: number | undefined = undefined;
  /** The newest place among the requests in flight. */
  place: HeldPlace | undefined = undefined;
  /** An internal request of the server, such as a revalidation: no client sent it. */
  internal = false;
  /** What the cache did: hit, miss, stale, bypass. */
  cache: string | undefined = undefined;
  /** The route's template, if a middleware knows it better than Express. */
  route: string | undefined = undefined;
  /** The record of the newest request log. */
  log: RequestRecord | undefined = undefined;
  unlogged: UnloggedError | undefined = undefined;
  /** The registries and meters that count this request. */
  counted: Counted | undefined = undefined;
  /** Set for a request of an app that is inspected. */
  inspection: Inspection | undefined = undefined;
}

const KEY: unique symbol = Symbol.for("express-portico/4") as never;

/** The request's state; made on first use. */
export function stateOf(req: IncomingMessage): RequestState {
  const holder = req as IncomingMessage & { [KEY]?: RequestState };
  return (holder[KEY] ??= new RequestState());
}

/** The request's state, if it was made already. */
export function knownState(req: IncomingMessage): RequestState | undefined {
  return (req as IncomingMessage & { [KEY]?: RequestState })[KEY];
}

/** Aborts the request's signal, even if it is made later. The first reason counts. */
export function abortRequest(state: RequestState, reason: unknown): void {
  if (state.reason !== undefined) return;
  state.reason = reason;
  state.controller?.abort(reason);
}

/** The same kind of reason as that of `AbortSignal.timeout`. */
export function timeoutError(message: string): DOMException {
  return new DOMException(message, "TimeoutError");
}
