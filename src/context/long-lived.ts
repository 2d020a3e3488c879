import type { RequestState } from "../lib/request/state.js";
import { callUnowned, currentOwner, type Piped, shared } from "./scope.js";

type AnyFunction = (...args: never[]) => unknown;
/** An object of Node's, and the name of one of its functions. */
type Place = readonly [holder: object, name: string];

/**
 * Takes the owner from what a request makes that may serve other requests too. Node runs the callbacks of a socket, an
 * interval, a server or a worker in the scope of the request that happened to make it, for as long as it lives; the
 * error of a later request would then be answered on the first.
 *
 * What emits events is marked where it emits them, for a pool's socket also fails in the scope of who writes to it;
 * the rest where it is made. It costs nothing where no request's work is under way.
 */
export function watchLongLived(): void {
  if (shared.unwatch !== undefined) return;
  const net = process.getBuiltinModule("node:net");
  const timers = process.getBuiltinModule("node:timers");
  const { ClientRequest } = process.getBuiltinModule("node:http");
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  const { ChildProcess } = process.getBuiltinModule("node:child_process");
  const { Socket: Datagrams } = process.getBuiltinModule("node:dgram");
  const undo = [
    replace([net.Socket.prototype, "emit"], (inherited) => emitting(inherited, isOf)),
    replace([Worker.prototype, "emit"], (inherited) => emitting(inherited, isNobodys)),
    replace([ChildProcess.prototype, "emit"], (inherited) => emitting(inherited, isNobodys)),
    replace([Datagrams.prototype, "emit"], (inherited) => emitting(inherited, isNobodys)),
    replace([net.Server.prototype, "listen"], making),
    // Where the parser of the other server's response gets its scope.
    replace([ClientRequest.prototype, "onSocket"], making),
    replace([timers, "setInterval"], making),
    replace([globalThis, "setInterval"], making),
  ];
  syncExports();
  shared.unwatch = () => {
    for (const one of undo) one();
    syncExports();
  };
}

export function unwatchLongLived(): void {
  shared.unwatch?.();
  shared.unwatch = undefined;
}

/** For those who import `setInterval` of `node:timers` by its name. */
function syncExports(): void {
  process.getBuiltinModule("node:module").syncBuiltinESMExports();
}

/** Puts another function in the place; the function that is returned takes it back, unless somebody else's is there now. */
function replace([holder, name]: Place, make: (current: () => AnyFunction) => AnyFunction): () => void {
  const own = Object.getOwnPropertyDescriptor(holder, name);
  const original = own?.value as AnyFunction | undefined;
  // One that is inherited may be replaced there later (`node:domain` does it).
  const current = () => original ?? (Reflect.get(Object.getPrototypeOf(holder), name) as AnyFunction);
  const value = make(current);
  for (const key of Reflect.ownKeys(current())) {
    const descriptor = Object.getOwnPropertyDescriptor(current(), key)!;
    if (descriptor.configurable) Object.defineProperty(value, key, descriptor);
  }
  Object.defineProperty(holder, name, {
    configurable: true,
    writable: true,
    enumerable: own?.enumerable ?? false,
    value,
  });
  return () => {
    if (Object.getOwnPropertyDescriptor(holder, name)?.value !== value) return;
    if (own === undefined) Reflect.deleteProperty(holder, name);
    else Object.defineProperty(holder, name, own);
  };
}

function making(current: () => AnyFunction): AnyFunction {
  return function made(this: unknown, ...args: never[]): unknown {
    const owner = currentOwner();
    return owner === undefined
      ? Reflect.apply(current(), this, args)
      : callUnowned(owner, current(), this, args);
  };
}

function emitting(
  current: () => AnyFunction,
  isOwners: (emitter: object, owner: RequestState) => boolean,
): AnyFunction {
  return function emit(this: object, ...args: never[]): unknown {
    const owner = currentOwner();
    return owner === undefined || isOwners(this, owner)
      ? Reflect.apply(current(), this, args)
      : callUnowned(owner, current(), this, args);
  };
}

function isNobodys(): boolean {
  return false;
}

/** A connection that the request has taken over, or that is piped to or from it, works for that request. */
function isOf(socket: object, owner: RequestState): boolean {
  if (shared.owned.has(socket)) return true;
  const to = pipesOf(socket);
  return pipesOf(owner.req)?.includes(socket) === true || (to?.length === 1 && to[0] === owner.res);
}

function pipesOf(stream: object | undefined): readonly unknown[] | undefined {
  return (stream as Piped | undefined)?._readableState?.pipes;
}
