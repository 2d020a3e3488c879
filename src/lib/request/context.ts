import type { IncomingMessage, ServerResponse } from "node:http";
import { refuseNext } from "../config/not-called.js";
import { isFinished, onEnd } from "../response/end-hooks.js";
import { randomUuid } from "../values/random.js";
import { peek } from "../values/thrown.js";
import { type Auth, type RequestState, stateOf, type Trace } from "./state.js";
import { newTrace, parseTraceparent } from "./trace.js";

/** The id, trace, signals and caller of one request. */
export interface RequestContext<Principal extends object = Auth["principal"]> {
  /** The caller's `X-Request-Id` if it is trusted, else a new UUID. `requestContext` sends it in the response. */
  readonly id: string;
  /**
   * The trace of OpenTelemetry's active span, else the caller's (W3C `traceparent`), else a new one. `String(trace)` is the
   * `traceparent` for requests to other services.
   */
  readonly trace: Trace;
  /**
   * Aborts when the client leaves before the response is complete (`AbortError`), or at a deadline of `timeout`
   * (`TimeoutError`). It never aborts after a complete response. For an upgraded connection (WebSocket) it aborts when the
   * connection ends.
   */
  readonly signal: AbortSignal;
  /**
   * Aborts when the server's shutdown begins, after `drain.delayMs`: the time to close a WebSocket or to send the last
   * event of a stream. Without `serve` it never aborts.
   */
  readonly closing: AbortSignal;
  /** The caller, set by `authenticate`. */
  readonly auth: Auth<Principal> | undefined;
}

class LazyContext implements RequestContext {
  readonly #req: IncomingMessage;
  readonly #state: RequestState;

  constructor(req: IncomingMessage, state: RequestState) {
    this.#req = req;
    this.#state = state;
  }

  get id(): string {
    return (this.#state.id ??= randomUuid());
  }

  get trace(): Trace {
    const state = this.#state;
    if (state.trace !== undefined) return state.trace;
    const sent = this.#req.headers?.traceparent;
    state.trace = (typeof sent === "string" ? parseTraceparent(sent) : undefined) ?? newTrace();
    return state.trace;
  }

  get signal(): AbortSignal {
    const state = this.#state;
    state.controller ??= makeController(this.#req, state);
    return state.controller.signal;
  }

  get closing(): AbortSignal {
    return (this.#state.closing ??= closingOf(this.#req));
  }

  get auth(): Auth | undefined {
    return this.#state.auth;
  }
}

function makeController(req: IncomingMessage, state: RequestState): AbortController {
  const controller = new AbortController();
  if (state.reason !== undefined) {
    controller.abort(state.reason);
    return controller;
  }
  const res = responseOf(req, state);
  if (res === undefined) {
    // The 'upgrade' event has no response.
    if (peek(req, "upgrade") === true) req.socket.once("close", () => controller.abort());
  } else {
    onEnd(
      req,
      res,
      (ended, { signal }) => {
        if (!isFinished(ended) && !signal.aborted) controller.abort();
      },
      controller,
    );
  }
  return controller;
}

/**
 * The context of a request: its id, its trace, a signal that aborts when the client leaves, and the caller. It works
 * without `requestContext` too, and never throws; the response then has no `X-Request-Id`, and `currentContext` does not
 * find the request.
 *
 * @example
 * app.get("/report", async (req, res) => {
 *   res.json(await report({ signal: contextOf(req).signal }));
 * });
 *
 * @example
 * app.get("/me", authenticate(bearer({ verify })), (req, res) => {
 *   const { id, auth } = contextOf(req);
 *   res.json({ request: id, name: auth?.principal.name });
 * });
 */
export function contextOf<Principal extends object = Auth["principal"]>(
  req: IncomingMessage,
): RequestContext<Principal>;
export function contextOf(req: IncomingMessage, _res?: unknown, next?: unknown): RequestContext {
  refuseNext("contextOf", "contextOf(req) in a handler", next);
  const state = stateOf(req);
  state.view ??= new LazyContext(req, state);
  return state.view as RequestContext;
}

/** The shutdown of one server. */
interface Closing {
  readonly signal: AbortSignal;
  /** From the start of the shutdown, so also during `drain.delayMs`, when the signal has not aborted yet. */
  readonly isClosing: () => boolean;
  /** The controllers of open requests. Listeners on a shared signal would stay until the process ends. */
  readonly waiting: Set<AbortController>;
}

// Registered, because a second installed copy of the package may be the one that serves.
const KEY = Symbol.for("express-portico/closing/2");
const servers = ((globalThis as { [KEY]?: WeakMap<object, Closing> })[KEY] ??= new WeakMap());

/** Aborts the `closing` signals of this server's requests when `signal` aborts. */
export function announceClosing(server: object, signal: AbortSignal, isClosing: () => boolean): void {
  const waiting = new Set<AbortController>();
  servers.set(server, { signal, isClosing, waiting });
  signal.addEventListener("abort", () => {
    for (const controller of waiting) controller.abort(signal.reason);
    waiting.clear();
  });
}

/** Whether the request's server has begun its shutdown: `drain.delayMs` counts. Without `serve` it is not known. */
export function isServerClosing(req: IncomingMessage): boolean {
  return servers.get(serverOf(req) as object)?.isClosing() === true;
}

/** A signal that aborts when the request's server begins its shutdown. It never aborts without `serve`. */
function closingOf(req: IncomingMessage): AbortSignal {
  const controller = new AbortController();
  const closing = servers.get(serverOf(req) as object);
  if (closing === undefined) return controller.signal;
  if (closing.signal.aborted) {
    controller.abort(closing.signal.reason);
    return controller.signal;
  }
  const { waiting } = closing;
  waiting.add(controller);
  const forget = () => void waiting.delete(controller);
  const res = responseOf(req, stateOf(req));
  if (res !== undefined) onEnd(req, res, forget, undefined);
  else req.socket?.once?.("close", forget);
  return controller.signal;
}

/** Node keeps the server on each socket, also on that of an HTTP/2 session. */
function serverOf(req: IncomingMessage): unknown {
  const socket = peek(req, "socket") ?? peek(peek(peek(req, "stream"), "session"), "socket");
  return peek(socket, "server");
}

/** The response of a request, as far as it is known: Express puts it on the request, `requestContext` in the state. */
function responseOf(req: IncomingMessage, state: RequestState): ServerResponse | undefined {
  return state.res ?? (req as IncomingMessage & { readonly res?: ServerResponse }).res;
}
