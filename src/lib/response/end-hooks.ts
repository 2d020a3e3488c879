import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { isHttp2, isMute, isServed } from "../request/transport.js";
import { HOOKS, type Hooked, NONE, ResponseHooks } from "./head-hooks.js";
import { watchTakeOver } from "./take-over.js";

/** Runs once: after the response has ended, or when the client has left. */
export type EndHook<T> = (res: ServerResponse, data: T) => void;

/**
 * Registers a hook that runs exactly once: when the whole response was passed to the system, or when the connection ended
 * before that (see `isFinished`). It also runs if that has happened already.
 */
export function onEnd<T>(req: IncomingMessage, res: ServerResponse, hook: EndHook<T>, data: T): void {
  const hooked = res as Hooked;
  const state = (hooked[HOOKS] ??= new ResponseHooks(hooked, NONE, false));
  if (state.end !== undefined) {
    state.end.push(hook, data);
    if (state.ended) setImmediate(runEndHooks, hooked, state);
    return;
  }
  state.end = [hook, data];
  watchTakeOver(req, res);
  if (res.closed || (res.destroyed && req.destroyed)) {
    setImmediate(runEnd, hooked);
    return;
  }
  if (isHttp2(req)) watchStream(hooked);
  res.on("close", closed); // `once` would cost a wrapper for each response
  if (!isServed(req, res)) watchFinish(hooked, state);
  // A pipelined response has no socket before its turn; then Node emits no 'close' on it when the client leaves.
  if (res.socket === null && req.socket) watchQueued(req.socket, hooked);
}

/**
 * Whether the whole response was passed on. In-process clients and adapters only emit 'finish': `writableFinished` is
 * computed from a socket that they may not have.
 */
export function isFinished(res: ServerResponse): boolean {
  return res.writableFinished || (res as Hooked)[HOOKS]?.finished === true;
}

/** Without a server only 'finish' is certain, and a mock without events does not emit that either. */
function watchFinish(res: Hooked, state: ResponseHooks): void {
  if (res.finished && !isMute(res)) {
    state.finished = true; // 'finish' may have been emitted already
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

/** To be called for a response that has ended without an event. */
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
 * With HTTP/2 Node emits 'finish' and 'close' on the response only when its stream has closed, after the end of the
 * request's body, and both in one call, so that a listener that throws stops the others. The stream's events come earlier.
 */
function watchStream(res: Hooked): void {
  const { stream } = res as unknown as { readonly stream?: ServerHttp2Stream };
  if (stream === undefined) return;
  res.on(ENDED, closed); // on the response, whose `emit` enters the request's scope
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
  runEndHooks(res, state);
}

function runEndHooks(res: Hooked, state: ResponseHooks): void {
  const hooks = state.end ?? [];
  while (hooks.length > 0) {
    const data = hooks.pop();
    try {
      (hooks.pop() as EndHook<unknown>)(res, data);
    } finally {
      runEndHooks(res, state); // the others run even if one throws
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
