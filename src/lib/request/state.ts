import type { IncomingMessage, ServerResponse } from "node:http";
import type { RenderProblem } from "../http/problem.js";
import type { Logger } from "../log/logger.js";

/** What a passed `authenticate` knows of the caller. */
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
 * operator; what the client reads of them each middleware decides.
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
  /** The logger that it is for, as the app gave it, if an error's stack may be in the record. */
  readonly takesErrors: object | undefined;
  /** Whether it is still to be written. */
  isOpen: boolean;
  /** That of another request log. */
  readonly other: RequestRecord | undefined;
}

/** An error that has not been logged, for the record of its request will have it. */
export interface UnloggedError {
  readonly logger: object;
  readonly level: keyof Logger;
  /** Of a server error. */
  readonly stack: string | undefined;
  /** Logs it on its own, where the record is not written. */
  readonly log: () => void;
}

type Emit = (name: string | symbol, ...args: unknown[]) => boolean;

/**
 * What the concerns tell each other about one request: plain data, and nothing else passes between them.
 * It is kept under a registered symbol, so that two installed copies of the package agree.
 */
export class RequestState {
  /** `requestContext` has seen this request. */
  entered = false;
  /** Known once `requestContext` has run: `currentContext` has nothing else to find it by. */
  req: IncomingMessage | undefined = undefined;
  /** The `RequestContext` made of this record, once somebody has asked for it. */
  view: unknown = undefined;
  id: string | undefined = undefined;
  trace: Trace | undefined = undefined;
  /** Made on first use of `contextOf(req).signal`. */
  controller: AbortController | undefined = undefined;
  /** Made on first use of `contextOf(req).closing`. */
  closing: AbortSignal | undefined = undefined;
  /** Known once a concern that has it has run; `contextOf` needs it to see the client leave. */
  res: ServerResponse | undefined = undefined;
  /** The continuation that `requestContext` was given: an out-of-band error is handed to it. */
  next: ((error?: unknown) => void) | undefined = undefined;
  /** What `emit` of the request and the response was before `requestContext` put its scope around it. */
  emits: { readonly req: Emit; readonly res: Emit } | undefined = undefined;
  /** An error that nobody caught is being handed to `next`, which was called before: that second call counts. */
  isOutOfBand = false;
  auth: Auth | undefined = undefined;
  /** How the scheme that let the caller in writes its challenges, for those who ask for more scopes. */
  challenge: { readonly type: string; readonly parameters?: string } | undefined = undefined;
  /** What an optional authentication would have asked an anonymous caller for. */
  wanted: { readonly challenges: readonly string[]; readonly vary: string } | undefined = undefined;
  /** Whether an error was handled for this request; `error` alone cannot say, for `undefined` can be thrown. */
  failed = false;
  error: unknown = undefined;
  /** The first error that a chain saw; whether it was handled there, it does not say. */
  noted: { readonly error: unknown } | undefined = undefined;
  /** Which middleware refused this request, and why: the latest one that did. */
  refused: Refusal | undefined = undefined;
  /** How the app writes the answers of ours that refuse or fail. */
  render: RenderProblem | undefined = undefined;
  /** An error's answer is on its way, or sent: there is only one. */
  answering = false;
  /** The server has given the request up: it was answered in the handler's place, or its response was cut. */
  timedOut = false;
  /** What the innermost timeout keeps of this request. */
  watch: unknown = undefined;
  /** Why `contextOf(req).signal` is aborted, if not for the client's leaving; the signal may be asked for later. */
  reason: unknown = undefined;
  /** Takes the errors that come after a timeout: they are reported there, and answered nowhere. */
  late: ((error: unknown, logger?: Logger) => void) | undefined = undefined;
  /** The server itself cut the response: the client did not leave. */
  truncated = false;
  /** The status of a head that was written to the connection itself: 101 by a WebSocket server; 0 if none was yet. */
  takenOver: number | undefined = undefined;
  /** No client has sent this request: the server asks itself. */
  internal = false;
  /** What the cache did: hit, miss, stale, bypass. */
  cache: string | undefined = undefined;
  /** The route's template, if a concern knows better than Express. */
  route: string | undefined = undefined;
  /** The record of the newest request log. */
  log: RequestRecord | undefined = undefined;
  unlogged: UnloggedError | undefined = undefined;
}

const KEY: unique symbol = Symbol.for("express-portico/3") as never;

/** The request's record; made on first use. */
export function stateOf(req: IncomingMessage): RequestState {
  const holder = req as IncomingMessage & { [KEY]?: RequestState };
  return (holder[KEY] ??= new RequestState());
}

/** The same, where nobody has anything to say or to read if there is none yet. */
export function knownState(req: IncomingMessage): RequestState | undefined {
  return (req as IncomingMessage & { [KEY]?: RequestState })[KEY];
}

/** Aborts the request's signal, also if nobody has asked for it yet. The first reason stands. */
export function abortRequest(state: RequestState, reason: unknown): void {
  if (state.reason !== undefined) return;
  state.reason = reason;
  state.controller?.abort(reason);
}

/** What `AbortSignal.timeout` gives as its reason, too. */
export function timeoutError(message: string): DOMException {
  return new DOMException(message, "TimeoutError");
}
