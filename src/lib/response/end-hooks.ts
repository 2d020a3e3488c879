import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { isHttp2, isMute, isServed } from "../request/transport.js";
import { type Chain, chainOf, knownChain } from "./chain.js";
import { watchTakeOver } from "./take-over.js";

/** Runs once: after the response has ended, or when the client has left. */
export type EndHook<T> = (res: ServerResponse, data: T) => void;

/**
 * Registers a hook that runs exactly once: when the whole response was passed to the system, or when the connection ended
 * before that (see `isFinished`). It also runs if that has happened already.
 */
export function onEnd<T>(req: IncomingMessage, res: ServerResponse, hook: EndHook<T>, data: T): void {
  const chain = chainOf(res);
  if (chain.atEnd !== undefined) {
    chain.atEnd.push(hook, data);
    if (chain.hasEnded) setImmediate(runEndHooks, res, chain);
    return;
  }
  chain.atEnd = [hook, data];
  watchTakeOver(req, res);
  if (res.closed || (res.destroyed && req.destroyed)) {
    setImmediate(endHooks, res);
    return;
  }
  if (isHttp2(req)) watchStream(res);
  res.on("close", closed); // `once` would cost a wrapper for each response
  if (!isServed(req, res)) watchFinish(res, chain);
  // A pipelined response has no socket before its turn; then Node emits no 'close' on it when the client leaves.
  if (res.socket === null && req.socket) watchQueued(req.socket, res);
}

/**
 * Whether the whole response was passed on. With in-process clients and adapters only 'finish' shows it: `writableFinished`
 * is computed from a socket, which they may not have.
 */
export function isFinished(res: ServerResponse): boolean {
  return res.writableFinished || knownChain(res)?.hasFinished === true;
}

/** Without a server only 'finish' is certain, and a mock without events does not emit that either. */
function watchFinish(res: ServerResponse, chain: Chain): void {
  if (res.finished && !isMute(res)) {
    chain.hasFinished = true; // 'finish' may have been emitted already
    setImmediate(endHooks, res);
    return;
  }
  res.on("finish", finished);
  if (!isMute(res)) return;
  const { end } = res;
  res.end = function (this: ServerResponse, ...args: unknown[]) {
    const result: unknown = Reflect.apply(end, this, args);
    if (this.writableEnded || this.finished) finished.call(this);
    return result;
  } as ServerResponse["end"];
}

function finished(this: ServerResponse): void {
  chainOf(this).hasFinished = true;
  endHooks(this);
}

const ENDED = Symbol("express-portico.ended");

/**
 * With HTTP/2 Node emits 'finish' and 'close' on the response only when its stream has closed, after the end of the
 * request's body, and both in one call, so that a listener that throws stops the others. The stream's events come earlier.
 */
function watchStream(res: ServerResponse): void {
  const { stream } = res as unknown as { readonly stream?: ServerHttp2Stream };
  if (stream === undefined) return;
  res.on(ENDED, closed); // on the response, whose `emit` enters the request's scope
  stream.prependListener("finish", () => {
    if (!stream.aborted) res.emit(ENDED);
  });
  stream.prependListener("close", () => void res.emit(ENDED));
}

function closed(this: ServerResponse): void {
  endHooks(this);
}

/** Runs the end hooks. Other code calls it for a response that has ended without an event. */
export function endHooks(res: ServerResponse): void {
  const chain = knownChain(res);
  if (chain === undefined || chain.hasEnded) return;
  chain.hasEnded = true;
  runEndHooks(res, chain);
}

function runEndHooks(res: ServerResponse, chain: Chain): void {
  const hooks = chain.atEnd;
  if (hooks === undefined || hooks.length === 0) return;
  const data = hooks.pop();
  try {
    (hooks.pop() as EndHook<unknown>)(res, data);
  } finally {
    runEndHooks(res, chain); // the others run even if one throws
  }
}

const queued = new WeakMap<Socket, Set<ServerResponse>>();

function watchQueued(socket: Socket, res: ServerResponse): void {
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
  for (const res of queued.get(this) ?? []) endHooks(res);
}
