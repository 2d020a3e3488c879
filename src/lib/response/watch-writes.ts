import type { ServerResponse } from "node:http";
import { isMock } from "../request/transport.js";
import { chainOf, knownChain, methodsAt } from "./chain.js";
import { beforeHead, countSentBytes } from "./intercept.js";
import type { Interceptor } from "./interceptor.js";
import { type HeadHook, Link } from "./link.js";

type AnyFunction = (this: unknown, ...args: never[]) => unknown;
/** Makes of a function one that does the same, and is timed. */
export type Timed = <F extends AnyFunction>(fn: F, part: ResponsePart) => F;
/** What a middleware has put on a response. */
export type ResponsePart = "head hook" | "onHead" | "onData" | "onEnd" | "onFlush" | "onDrain" | "method";

const INTERCEPTOR_METHODS = ["onHead", "onData", "onEnd", "onFlush", "onDrain"] as const;
const METHODS = ["writeHead", "write", "end"] as const;

/** Functions that are timed already, and interceptors whose methods are. */
const timed = new WeakSet<object>();

/**
 * Times what was put on a response since the last call: head hooks, interceptors, and methods that other packages have
 * replaced. The inspector calls it when a layer passes the request on, so that all of it is that layer's.
 */
export function timeNewParts(res: ServerResponse, time: Timed): void {
  let link = knownChain(res)?.innermost;
  timeMethods(res, link?.level ?? -1, time);
  for (; link !== undefined; link = link.outer) {
    const { hooks, interceptor } = link;
    for (let i = 0; i < hooks.length; i += 2) hooks[i] = timeOnce(hooks[i] as AnyFunction, "head hook", time);
    if (interceptor !== undefined) timeInterceptor(interceptor, time);
  }
}

function timeOnce<F extends AnyFunction>(fn: F, part: ResponsePart, time: Timed): F {
  if (timed.has(fn)) return fn;
  const result = time(fn, part);
  timed.add(result);
  return result;
}

function timeInterceptor(interceptor: Interceptor, time: Timed): void {
  if (timed.has(interceptor)) return;
  timed.add(interceptor);
  for (const name of INTERCEPTOR_METHODS) {
    const method = interceptor[name] as AnyFunction | undefined;
    // On the object itself: the class is shared.
    if (method !== undefined)
      Object.defineProperty(interceptor, name, { value: time(method, name), ...PLAIN });
  }
}

const PLAIN = { configurable: true, writable: true, enumerable: true };

/** Methods that are neither Node's nor those of our links. */
function timeMethods(res: ServerResponse, levels: number, time: Timed): void {
  for (const name of METHODS) {
    if (!Object.hasOwn(res, name)) continue;
    const method = res[name] as AnyFunction;
    if (timed.has(method) || isOfLink(method, name, levels)) continue;
    (res as unknown as Record<string, AnyFunction>)[name] = timeOnce(method, "method", time);
  }
}

function isOfLink(method: AnyFunction, name: (typeof METHODS)[number], levels: number): boolean {
  for (let level = 0; level <= levels; level++) {
    if ((methodsAt(level)[name] as AnyFunction) === method) return true;
  }
  return false;
}

/**
 * Puts a link on a response that has none yet: it is the outermost one. It counts the bytes of the body, and its head hook
 * runs last.
 *
 * @param measure calls what it is given: Node's own methods, which write the response
 */
export function watchOutermost<T>(
  res: ServerResponse,
  hook: HeadHook<T>,
  data: T,
  measure: <R>(run: () => R) => R,
): void {
  if (isMock(res) || knownChain(res)?.innermost !== undefined) {
    beforeHead(res, hook, data);
    countSentBytes(res);
    return;
  }
  const chain = chainOf(res);
  const link = new MeasuredLink(res, chain, [hook, data]);
  link.measure = measure;
  link.patchBodyMethods();
  chain.counter = link;
}

class MeasuredLink extends Link {
  measure!: <R>(run: () => R) => R;

  protected override passHead(status: number, reason: string | undefined): void {
    this.measure(() => super.passHead(status, reason));
  }

  override receiveData(...args: Parameters<Link["receiveData"]>): boolean {
    return this.measure(() => super.receiveData(...args));
  }

  override receiveEnd(...args: Parameters<Link["receiveEnd"]>): ServerResponse {
    return this.measure(() => super.receiveEnd(...args));
  }
}
