import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { isMock } from "../request/transport.js";

/**
 * Runs just before the response's head is written, when all its headers are set. `data` is the value that the hook was
 * registered with, so that one function serves all requests, without a closure for each.
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
 * A class, not an object literal: V8 begins to allocate the literals of one place in its old generation, and then only a
 * full collection frees the responses that they refer to.
 */
export class ResponseHooks {
  /** The hooks of the newest patch of `writeHead`, in order of registration. */
  head: HookList;
  /** What `res.writeHead` is, if no other code has patched it since. */
  top: WriteHead = firstWriteHead;
  /** What `res.writeHead` was before our first patch. */
  inner: WriteHead;
  /** The hooks of our first patch; `head` changes when third-party code has patched it in between. */
  first: HookList;
  end: HookList | undefined = undefined;
  ended = false;
  /** 'finish' was emitted by a response without a server. */
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

/** Never changed: most lists have one hook, and a literal with it is cheaper than an empty list that grows. */
export const NONE: HookList = [];

/**
 * Registers a hook that runs before the head is written. Inner hooks (registered later) run first, so that outer middleware
 * decides last. Third-party code that patches `writeHead` keeps its place in this order: `writeHead` is then patched
 * again. If Node refuses the head, the hooks run again on the next try.
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
 * Intercepts the head: `take` is called after all inner hooks, when all headers are set. The function that is returned
 * writes the head, through the outer hooks, whenever it is called.
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
    // Valid headers were set on the response already: what is left here are invalid ones.
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

/** Whether only we have patched `writeHead`: the hooks of other code may run only once. */
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

/** Node's own responses call `writeHead` before the first byte of the body; mocks do not. */
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
      else if (!isWritten) runHooks(this, this[HOOKS]?.head ?? NONE); // its own `send` did not call `writeHead`
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

/** One function for all responses. */
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
  // A second head, or an invalid status: Node throws the right error.
  const code = status | 0;
  if (res.headersSent || !isStatus(code)) return next.call(res, status, reason, headers);
  const extra = typeof reason === "string" ? headers : (headers ?? reason);
  if (Array.isArray(extra) && !Array.isArray(extra[0]) && extra.length % 2 !== 0) {
    return next.call(res, status, reason, headers); // Node throws
  }
  if (extra !== undefined && extra !== null) setAll(res, extra as OutgoingHttpHeaders | unknown[]);
  res.statusCode = code;
  runHooks(res, hooks);
  // A hook may have changed the status.
  return typeof reason === "string" ? next.call(res, res.statusCode, reason) : next.call(res, res.statusCode);
}

function isStatus(status: number): boolean {
  return (status | 0) >= 100 && (status | 0) <= 999;
}

/** The headers given to `writeHead` replace those set before, as in Node. */
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
