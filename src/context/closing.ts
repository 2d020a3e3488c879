import type { IncomingMessage, ServerResponse } from "node:http";
import { type RequestState, stateOf } from "../lib/request/state.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { peek } from "../lib/values/thrown.js";

/** The shutdown of one server. */
interface Closing {
  readonly signal: AbortSignal;
  /** The controllers of open requests. Listeners on a shared signal would stay until the process ends. */
  readonly waiting: Set<AbortController>;
}

// Registered, because a second installed copy of the package may be the one that serves.
const KEY = Symbol.for("express-portico/closing/1");
const servers = ((globalThis as { [KEY]?: WeakMap<object, Closing> })[KEY] ??= new WeakMap());

/** Aborts the `closing` signals of this server's requests when `signal` aborts. */
export function announceClosing(server: object, signal: AbortSignal): void {
  const waiting = new Set<AbortController>();
  servers.set(server, { signal, waiting });
  signal.addEventListener("abort", () => {
    for (const controller of waiting) controller.abort(signal.reason);
    waiting.clear();
  });
}

/** A signal that aborts when the request's server begins its shutdown. It never aborts without `serve`. */
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

/** Node keeps the server on each socket, also on that of an HTTP/2 session. */
function serverOf(req: IncomingMessage): unknown {
  const socket = peek(req, "socket") ?? peek(peek(peek(req, "stream"), "session"), "socket");
  return peek(socket, "server");
}

/** The response of a request, as far as it is known: Express puts it on the request, `requestContext` in the state. */
export function responseOf(req: IncomingMessage, state: RequestState): ServerResponse | undefined {
  return state.res ?? (req as IncomingMessage & { readonly res?: ServerResponse }).res;
}
