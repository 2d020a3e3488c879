import type { IncomingMessage } from "node:http";
import { refuseNext } from "../lib/config/not-called.js";
import { type Auth, type RequestState, stateOf, type Trace } from "../lib/request/state.js";
import { isFinished, onEnd } from "../lib/response/hooks.js";
import { randomUuid } from "../lib/values/random.js";
import { peek } from "../lib/values/thrown.js";
import { closingOf, responseOf } from "./closing.js";
import { newTrace, parseTraceparent } from "./trace.js";

/** What is known of one request. */
export interface RequestContext<Principal extends object = Auth["principal"]> {
  /** The request's id: the caller's, if it is trusted, else a new UUID. The response carries it as `X-Request-Id`. */
  readonly id: string;
  /**
   * The trace of OpenTelemetry's active span, else the caller's (W3C `traceparent`), else a new one. As a string it is
   * the `traceparent` to send on.
   */
  readonly trace: Trace;
  /**
   * Aborts when the client leaves before the response is whole (`AbortError`), or when `timeout` gives the request up
   * (`TimeoutError`). Never after a response that ended well. Of a connection that was upgraded (WebSocket) it aborts
   * when that connection ends.
   */
  readonly signal: AbortSignal;
  /**
   * Aborts when the server's shutdown begins, after `drain.delayMs`: the time for a WebSocket's goodbye, or for the last
   * event of a stream. Only `serve` says so; on a server of another kind it never aborts.
   */
  readonly closing: AbortSignal;
  /** Who is calling: set by a passed `authenticate`. */
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
    // Its listeners have it without a response.
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
 * What is known of this request: its id, its trace, a signal that aborts when the client leaves, and who is calling.
 * Works without `requestContext` too, and never throws; then nothing is echoed to the client, and `currentContext`
 * does not know of it.
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
