import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { isMock } from "../request/transport.js";

/**
 * Runs just before the response's head is written, with all headers of the response set on it.
 * `data` is what the hook was registered with: one shared function serves all requests, with no closure for each.
 */
export type HeadHook<T> = (res: ServerResponse, data: T) => void;
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
export class ResponseHooks {
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

export const HOOKS = Symbol("express-portico.response-hooks");
export type Hooked = ServerResponse & { [HOOKS]?: ResponseHooks };

/** Never written to: most lists have one hook, and a literal of its own is cheaper than an empty list that grows. */
export const NONE: HookList = [];

/**
 * Registers a hook that runs before the head is written. Inner hooks (registered later) run first, so the outer
 * concern has the last word. Third parties that patch `writeHead` keep their place in that order: a new link is
 * installed above them. A head that could not be written (Node refused it) runs the hooks again on the next try.
 */
export function beforeHead<T>(res: ServerResponse, hook: HeadHook<T>, data: T): void {
  const hooked = res as Hooked;
  const state = hooked[HOOKS];
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
  const state = (hooked[HOOKS] ??= new ResponseHooks(hooked, NONE, false));
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

function addLink(res: Hooked, state: ResponseHooks, hooks: HookList, next: WriteHead): void {
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
  return (res.writeHead as WriteHead) === firstWriteHead && (res as Hooked)[HOOKS]?.inner === native;
}

function installFirst(res: Hooked, known: ResponseHooks | undefined, hooks: HookList): void {
  if (isMock(res)) writeHeadFirst(res);
  if (known === undefined) {
    res[HOOKS] = new ResponseHooks(res, hooks, true);
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
      else if (!isWritten) runHooks(this, this[HOOKS]?.head ?? NONE); // a `send` of its own has gone past `writeHead`
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
  const state = (this as Hooked)[HOOKS]!;
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
