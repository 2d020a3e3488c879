import type { IncomingMessage } from "node:http";
import { refuseNext } from "../lib/config/not-called.js";
import { type Auth, type Facts, factsOf, type Trace } from "../lib/request/state.js";
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
  readonly #facts: Facts;

  constructor(req: IncomingMessage, facts: Facts) {
    this.#req = req;
    this.#facts = facts;
  }

  get id(): string {
    return (this.#facts.id ??= randomUuid());
  }

  get trace(): Trace {
    const facts = this.#facts;
    if (facts.trace !== undefined) return facts.trace;
    const sent = this.#req.headers?.traceparent;
    facts.trace = (typeof sent === "string" ? parseTraceparent(sent) : undefined) ?? newTrace();
    return facts.trace;
  }

  get signal(): AbortSignal {
    const facts = this.#facts;
    facts.controller ??= makeController(this.#req, facts);
    return facts.controller.signal;
  }

  get closing(): AbortSignal {
    return (this.#facts.closing ??= closingOf(this.#req));
  }

  get auth(): Auth | undefined {
    return this.#facts.auth;
  }
}

function makeController(req: IncomingMessage, facts: Facts): AbortController {
  const controller = new AbortController();
  if (facts.reason !== undefined) {
    controller.abort(facts.reason);
    return controller;
  }
  const res = responseOf(req, facts);
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
  const facts = factsOf(req);
  facts.view ??= new LazyContext(req, facts);
  return facts.view as RequestContext;
}
