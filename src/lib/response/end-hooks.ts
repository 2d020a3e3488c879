import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { isHttp2, isMute, isServed } from "../request/transport.js";
import { HOOKS, type Hooked, NONE, ResponseHooks } from "./head-hooks.js";
import { watchTakeOver } from "./take-over.js";

/** Runs once: after the response has ended, or when the client has left. */
export type EndHook<T> = (res: ServerResponse, data: T) => void;

/**
 * Registers a hook that runs exactly once: when the response has been handed to the system whole, or when the
 * connection ended before that (`res.writableFinished` tells which). It runs too if that is already past.
 */
export function onEnd<T>(req: IncomingMessage, res: ServerResponse, hook: EndHook<T>, data: T): void {
  const hooked = res as Hooked;
  const state = (hooked[HOOKS] ??= new ResponseHooks(hooked, NONE, false));
  if (state.end !== undefined) {
    state.end.push(hook, data);
    if (state.ended) setImmediate(drain, hooked, state);
    return;
  }
  state.end = [hook, data];
  watchTakeOver(req, res);
  if (res.closed || (res.destroyed && req.destroyed)) {
    setImmediate(runEnd, hooked);
    return;
  }
  if (isHttp2(req)) watchStream(hooked);
  res.on("close", closed); // it acts once: `once` would cost a wrapper for each response
  if (!isServed(req, res)) watchFinish(hooked, state);
  // A pipelined response waits for its turn without a socket, and then Node does not tell it of the client's leaving.
  if (res.socket === null && req.socket) watchQueued(req.socket, hooked);
}

/**
 * Whether the response has been handed on whole. In-process clients and adapters say so by 'finish' alone: their socket
 * need not have what `writableFinished` is worked out from.
 */
export function isFinished(res: ServerResponse): boolean {
  return res.writableFinished || (res as Hooked)[HOOKS]?.finished === true;
}

/** Without a server 'finish' is all that is sure to come; and not even that of a mock without events. */
function watchFinish(res: Hooked, state: ResponseHooks): void {
  if (res.finished && !isMute(res)) {
    state.finished = true; // it may have come already
    setImmediate(runEnd, res);
    return;
  }
  res.on("finish", finished);
  if (!isMute(res)) return;
  const { end } = res;
  res.end = function (this: Hooked, ...args: unknown[]) {
    const result: unknown = Reflect.apply(end, this, args);
    if (this.writableEnded || this.finished) finished.call(this);
    return result;
  } as Hooked["end"];
}

/** The response is over, and nothing will say so. */
export function endHooks(res: ServerResponse): void {
  runEnd(res as Hooked);
}

function finished(this: ServerResponse): void {
  const state = (this as Hooked)[HOOKS];
  if (state === undefined) return;
  state.finished = true;
  runEnd(this as Hooked);
}

const ENDED = Symbol("express-portico.ended");

/**
 * With HTTP/2 Node tells a response of its end only when its stream has closed: after the end of the request's body,
 * and then 'finish' and 'close' in one breath, so that a listener that throws takes the news from all others.
 */
function watchStream(res: Hooked): void {
  const { stream } = res as unknown as { readonly stream?: ServerHttp2Stream };
  if (stream === undefined) return;
  res.on(ENDED, closed); // by way of the response, for whoever has put the request's scope around its events
  stream.prependListener("finish", () => {
    if (!stream.aborted) res.emit(ENDED);
  });
  stream.prependListener("close", () => void res.emit(ENDED));
}

function closed(this: ServerResponse): void {
  runEnd(this as Hooked);
}

function runEnd(res: Hooked): void {
  const state = res[HOOKS];
  if (state === undefined || state.ended) return;
  state.ended = true;
  drain(res, state);
}

function drain(res: Hooked, state: ResponseHooks): void {
  const hooks = state.end ?? [];
  while (hooks.length > 0) {
    const data = hooks.pop();
    try {
      (hooks.pop() as EndHook<unknown>)(res, data);
    } finally {
      drain(res, state); // one that throws does not cost the others their turn
    }
  }
}

const queued = new WeakMap<Socket, Set<Hooked>>();

function watchQueued(socket: Socket, res: Hooked): void {
  let waiting = queued.get(socket);
  if (waiting === undefined) {
    waiting = new Set();
    queued.set(socket, waiting);
    socket.once("close", queueClosed);
  }
  waiting.add(res);
  res.once("close", () => waiting.delete(res));
}

function queueClosed(this: Socket): void {
  for (const res of queued.get(this) ?? []) runEnd(res);
}
