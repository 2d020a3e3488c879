import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { isHttp2, isMock, isMute, isServed } from "../request/transport.js";
import { watchTakeOver } from "./take-over.js";

/**
 * Runs just before the response's head is written, with all headers of the response set on it.
 * `data` is what the hook was registered with: one shared function serves all requests, with no closure for each.
 */
export type HeadHook<T> = (res: ServerResponse, data: T) => void;
/** Runs once: after the response has ended, or when the client has left. */
export type EndHook<T> = (res: ServerResponse, data: T) => void;

type WriteHead = (
  this: ServerResponse,
  status: number,
  reason?: unknown,
  headers?: unknown,
) => ServerResponse;
/** Hooks and their data, alternating. */
type HookList = unknown[];

/**
 * A class, not a literal: V8 comes to allocate literals of a place whose objects live a while in the old generation,
 * and what hangs on them there, the whole response, is only found by a full collection.
 */
class State {
  /** The hooks of the newest link, in order of registration. */
  head: HookList;
  /** What `res.writeHead` is while nobody else has patched it since. */
  top: WriteHead = firstWriteHead;
  /** What `res.writeHead` was before the first link. */
  inner: WriteHead;
  /** The first link's hooks; `head` moves on when a third party comes between. */
  first: HookList;
  end: HookList | undefined = undefined;
  ended = false;
  /** 'finish' has come, of a response that no server has made. */
  finished = false;

  constructor(
    res: Hooked,
    hooks: HookList,
    /** Whether `res.writeHead` is patched at all. */
    public linked: boolean,
  ) {
    this.head = hooks;
    this.first = hooks;
    this.inner = res.writeHead as WriteHead;
  }
}

const STATE = Symbol("express-portico.response-hooks");
type Hooked = ServerResponse & { [STATE]?: State };

/**
 * Registers a hook that runs before the head is written. Inner hooks (registered later) run first, so the outer
 * concern has the last word. Third parties that patch `writeHead` keep their place in that order: a new link is
 * installed above them. A head that could not be written (Node refused it) runs the hooks again on the next try.
 */
export function beforeHead<T>(res: ServerResponse, hook: HeadHook<T>, data: T): void {
  const hooked = res as Hooked;
  const state = hooked[STATE];
  if (state === undefined || !state.linked) {
    installFirst(hooked, state, [hook, data]);
  } else if ((hooked.writeHead as WriteHead) === state.top) {
    state.head.push(hook, data);
  } else {
    addLink(hooked, state, [hook, data], hooked.writeHead as WriteHead);
  }
}

/**
 * Takes the head's place at this point of the chain: `take` is called with all inner hooks run and all headers set on
 * the response, and what is returned writes the head, by way of the outer hooks, whenever it is called.
 */
export function takeHead(
  res: ServerResponse,
  take: (status: number, reason: string | undefined) => void,
): (status: number, reason: string | undefined) => void {
  const hooked = res as Hooked;
  const state = (hooked[STATE] ??= new State(hooked, NONE, false));
  const outer = hooked.writeHead as WriteHead;
  state.linked = true;
  addLink(hooked, state, [], (status, reason, headers) => {
    // Headers come as far as this only if they are no headers: all others are set on the response by now.
    const isRefused = !isStatus(status) || (!res.headersSent && (headers ?? reason) instanceof Object);
    if (isRefused) return outer.call(res, status, reason, headers); // by Node, with the right error
    take(status | 0, typeof reason === "string" ? reason : undefined);
    return res;
  });
  return (status, reason) => {
    if (reason === undefined) outer.call(res, status);
    else outer.call(res, status, reason);
  };
}

function addLink(res: Hooked, state: State, hooks: HookList, next: WriteHead): void {
  state.top = function writeHead(status, reason, headers) {
    return runLink(this, hooks, next, status, reason, headers);
  };
  state.head = hooks;
  res.writeHead = state.top as Hooked["writeHead"];
}

/** Whether nobody else has patched `writeHead`: all hooks of others may run once only. */
export function isHeadOurs(res: ServerResponse): boolean {
  if (!Object.hasOwn(res, "writeHead")) return true;
  const native: unknown = Object.getPrototypeOf(res).writeHead;
  return (res.writeHead as WriteHead) === firstWriteHead && (res as Hooked)[STATE]?.inner === native;
}

/**
 * Registers a hook that runs exactly once: when the response has been handed to the system whole, or when the
 * connection ended before that (`res.writableFinished` tells which). It runs too if that is already past.
 */
export function onEnd<T>(req: IncomingMessage, res: ServerResponse, hook: EndHook<T>, data: T): void {
  const hooked = res as Hooked;
  const state = (hooked[STATE] ??= new State(hooked, NONE, false));
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
  return res.writableFinished || (res as Hooked)[STATE]?.finished === true;
}

/** Without a server 'finish' is all that is sure to come; and not even that of a mock without events. */
function watchFinish(res: Hooked, state: State): void {
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
  const state = (this as Hooked)[STATE];
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

/** Never written to: most lists have one hook, and a literal of its own is cheaper than an empty list that grows. */
const NONE: HookList = [];

function installFirst(res: Hooked, known: State | undefined, hooks: HookList): void {
  if (isMock(res)) writeHeadFirst(res);
  if (known === undefined) {
    res[STATE] = new State(res, hooks, true);
  } else {
    known.inner = res.writeHead as WriteHead;
    known.head = known.first = hooks;
    known.linked = true;
  }
  res.writeHead = firstWriteHead as Hooked["writeHead"];
}

/** Node's own responses write their head by themselves, by way of `writeHead`, before the first byte of the body. */
function writeHeadFirst(res: Hooked): void {
  const { writeHead } = res;
  let isWritten = false;
  res.writeHead = function (this: Hooked, ...args: unknown[]) {
    isWritten = true;
    return Reflect.apply(writeHead, this, args);
  } as Hooked["writeHead"];
  for (const name of ["write", "end"] as const) {
    const method = res[name];
    res[name] = function (this: Hooked, ...args: unknown[]): unknown {
      if (!isWritten && !this.headersSent) this.writeHead(this.statusCode);
      else if (!isWritten) runHooks(this, this[STATE]?.head ?? NONE); // a `send` of its own has gone past `writeHead`
      isWritten = true;
      return Reflect.apply(method, this, args);
    } as never;
  }
}

function runHooks(res: ServerResponse, hooks: HookList): void {
  for (let i = hooks.length - 2; i >= 0; i -= 2) {
    (hooks[i] as HeadHook<unknown>)(res, hooks[i + 1]);
  }
}

/** Shared by all responses: the state is found on the response. */
const firstWriteHead: WriteHead = function writeHead(this: ServerResponse, status, reason, headers) {
  const state = (this as Hooked)[STATE]!;
  return runLink(this, state.first, state.inner, status, reason, headers);
};

function runLink(
  res: ServerResponse,
  hooks: HookList,
  next: WriteHead,
  status: number,
  reason: unknown,
  headers: unknown,
): ServerResponse {
  // A second head, or a status that Node will refuse: Node's own error is the right one.
  const code = status | 0;
  if (res.headersSent || !isStatus(code)) return next.call(res, status, reason, headers);
  const extra = typeof reason === "string" ? headers : (headers ?? reason);
  if (Array.isArray(extra) && !Array.isArray(extra[0]) && extra.length % 2 !== 0) {
    return next.call(res, status, reason, headers); // which Node refuses
  }
  if (extra !== undefined && extra !== null) setAll(res, extra as OutgoingHttpHeaders | unknown[]);
  res.statusCode = code;
  runHooks(res, hooks);
  // A hook may have given the response another status.
  return typeof reason === "string" ? next.call(res, res.statusCode, reason) : next.call(res, res.statusCode);
}

function isStatus(status: number): boolean {
  return (status | 0) >= 100 && (status | 0) <= 999;
}

/** The headers given to `writeHead` override those set before, as Node does it (`ServerResponse.writeHead`). */
function setAll(res: ServerResponse, headers: OutgoingHttpHeaders | unknown[]): void {
  if (!Array.isArray(headers)) {
    for (const name of Object.keys(headers)) {
      const value = headers[name];
      if (name) res.setHeader(name, value as string);
    }
    return;
  }
  const flat = Array.isArray(headers[0]) ? (headers as unknown[][]).flat(1) : headers;
  for (let i = 0; i + 1 < flat.length; i += 2) res.removeHeader(String(flat[i]));
  for (let i = 0; i + 1 < flat.length; i += 2) res.appendHeader(String(flat[i]), flat[i + 1] as string);
}

function closed(this: ServerResponse): void {
  runEnd(this as Hooked);
}

function runEnd(res: Hooked): void {
  const state = res[STATE];
  if (state === undefined || state.ended) return;
  state.ended = true;
  drain(res, state);
}

function drain(res: Hooked, state: State): void {
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
