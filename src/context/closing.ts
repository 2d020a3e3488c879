import type { IncomingMessage, ServerResponse } from "node:http";
import { type RequestState, stateOf } from "../lib/request/state.js";
import { onEnd } from "../lib/response/hooks.js";
import { peek } from "../lib/values/thrown.js";

/** The end of one server, as its requests see it. */
interface Closing {
  readonly signal: AbortSignal;
  /** Of the requests that have asked and have not ended. Listeners on one signal for all would stay until the end. */
  readonly waiting: Set<AbortController>;
}

// With a second installed copy of the package, the one that serves may not be the one that is asked.
const KEY = Symbol.for("express-portico/closing/1");
const servers = ((globalThis as { [KEY]?: WeakMap<object, Closing> })[KEY] ??= new WeakMap());

/** Lets the requests of this server know when it closes. */
export function announceClosing(server: object, signal: AbortSignal): void {
  const waiting = new Set<AbortController>();
  servers.set(server, { signal, waiting });
  signal.addEventListener("abort", () => {
    for (const controller of waiting) controller.abort(signal.reason);
    waiting.clear();
  });
}

/** A signal that aborts when the server of this request closes; never, for a server that is not ours. */
export function closingOf(req: IncomingMessage): AbortSignal {
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

/** Node has it on each socket, of an HTTP/2 session too. */
function serverOf(req: IncomingMessage): unknown {
  const socket = peek(req, "socket") ?? peek(peek(peek(req, "stream"), "session"), "socket");
  return peek(socket, "server");
}

/** Express puts the response on the request; outside Express only `requestContext` knows it. */
export function responseOf(req: IncomingMessage, state: RequestState): ServerResponse | undefined {
  return state.res ?? (req as IncomingMessage & { readonly res?: ServerResponse }).res;
}
