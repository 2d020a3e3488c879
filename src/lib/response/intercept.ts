import type { ServerResponse } from "node:http";
import { isMock } from "../request/transport.js";
import { type Chain, chainOf, knownChain, type Receiver } from "./chain.js";
import type { Interceptor, Outer } from "./interceptor.js";
import { InterceptorLink } from "./interceptor-link.js";
import { type HeadHook, type HookList, Link, runHooks } from "./link.js";

/**
 * Shared by all links without hooks, so nothing may be added to it. The first hook makes a new list, which is cheaper than
 * an empty list that grows.
 */
const NONE: HookList = [];

/**
 * Registers a hook that runs before the head is written. Inner hooks (registered later) run first, so that outer middleware
 * decides last. Third-party code that patches `writeHead` keeps its place in this order: `writeHead` is then patched
 * again. If Node refuses the head, the hooks run again on the next try.
 */
export function beforeHead<T>(res: ServerResponse, hook: HeadHook<T>, data: T): void {
  const chain = chainOf(res);
  const { innermost } = chain;
  if (innermost === undefined || !innermost.ownsWriteHead)
    new Link(prepared(res, chain), chain, [hook, data]);
  else if (innermost.hooks === NONE) innermost.hooks = [hook, data];
  else innermost.hooks.push(hook, data);
}

/**
 * Adds an interceptor to the response, as its innermost one. The app sees no difference: `headersSent` and
 * `writableEnded` are true once the app has begun and ended its answer, and headers can no longer be changed, even while
 * the interceptor has sent nothing yet.
 */
export function intercept(res: ServerResponse, make: (outer: Outer) => Interceptor): void {
  const chain = chainOf(res);
  const link = new InterceptorLink(prepared(res, chain), chain, NONE);
  link.intercept(make(link));
}

/** To be called before each new link: on a mock, it makes `write` and `end` call `writeHead` first. */
function prepared(res: ServerResponse, { innermost }: Chain): ServerResponse {
  if (innermost === undefined && isMock(res)) writeHeadFirst(res);
  return res;
}

/** Node's own responses call `writeHead` before the first byte of the body; mocks do not. */
function writeHeadFirst(res: ServerResponse): void {
  const { writeHead } = res;
  let isWritten = false;
  res.writeHead = function (this: ServerResponse, ...args: unknown[]) {
    isWritten = true;
    return Reflect.apply(writeHead, this, args);
  } as ServerResponse["writeHead"];
  for (const name of ["write", "end"] as const) {
    const method = res[name];
    res[name] = function (this: ServerResponse, ...args: unknown[]): unknown {
      if (!isWritten && !this.headersSent) this.writeHead(this.statusCode);
      else if (!isWritten) runHooks(this, chainOf(this).innermost!.hooks); // the mock has sent its head without `writeHead`
      isWritten = true;
      return Reflect.apply(method, this, args);
    } as never;
  }
}

/** Whether no other code has patched `writeHead`. Such a patch may run only once for a response. */
export function isHeadOurs(res: ServerResponse): boolean {
  if (!Object.hasOwn(res, "writeHead")) return true;
  let link = knownChain(res)?.innermost;
  if (link === undefined || !link.ownsWriteHead) return false;
  for (; link !== undefined; link = link.outer) if (link.isHeadForeign) return false;
  return true;
}

/** Whether `end` is Node's own, or only we have patched it. */
export function isEndOurs(res: ServerResponse, native: unknown): boolean {
  let end: unknown = res.end;
  if (end === native) return true;
  for (let link = knownChain(res)?.innermost; link !== undefined && end !== native; link = link.outer) {
    if (!link.receivesBody) continue;
    if (end !== link.methods.end) return false;
    end = link.outerEnd;
  }
  return end === native;
}

/** Whether an interceptor is still active on the response. */
export function hasInterceptor(res: ServerResponse): boolean {
  for (let link = knownChain(res)?.innermost; link !== undefined; link = link.outer) {
    if (link.interceptor !== undefined) return true;
  }
  return false;
}

/** The level of the innermost link; -1 if there is none. */
export function levelOf(res: ServerResponse): number {
  return knownChain(res)?.innermost?.level ?? -1;
}

/**
 * Discards the interceptors that are inner to a level (-1: all of them): what they have not sent is lost, and their later
 * calls do nothing.
 */
export function discardInside(res: ServerResponse, level: number): void {
  for (let link = knownChain(res)?.innermost; link !== undefined && link.level > level; link = link.outer)
    link.drop();
}

/** A link that watches what is written to the response at this place: its `writes` change with each write. */
export function watchBody(res: ServerResponse): Receiver {
  const { innermost } = chainOf(res);
  return innermost?.receivesBody && innermost.ownsBodyMethods ? innermost : bodyLink(res);
}

function bodyLink(res: ServerResponse): Receiver {
  const chain = chainOf(res);
  const { innermost } = chain;
  const isFree = innermost !== undefined && !innermost.receivesBody && innermost.ownsWriteHead;
  const link = isFree ? innermost : new Link(prepared(res, chain), chain, NONE);
  link.patchBodyMethods();
  return link;
}

/**
 * Counts the bytes of the response's body as inner middleware passes them on: with an inner `compress`, the compressed
 * bytes. Return values, callbacks and backpressure of `write` and `end` stay the same. Later calls for the same response do
 * nothing.
 */
export function countSentBytes(res: ServerResponse): void {
  chainOf(res).counter ??= bodyLink(res);
}

/** The bytes of the body that were sent; 0 for an answer without a body (HEAD, 204, 304); undefined if not counted. */
export function sentBytes(res: ServerResponse): number | undefined {
  const counter = knownChain(res)?.counter;
  if (counter === undefined) return undefined;
  const { statusCode } = res;
  const bodiless = res.req.method === "HEAD" || statusCode === 204 || statusCode === 304 || !res.headersSent;
  return bodiless ? 0 : counter.bytes;
}
