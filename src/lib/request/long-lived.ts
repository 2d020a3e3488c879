import { callInUncertainScope, certainState, type Piped, processRecord } from "./scope.js";
import type { RequestState } from "./state.js";

type AnyFunction = (...args: never[]) => unknown;
/** An object of Node's and the name of one of its methods. */
type Place = readonly [holder: object, name: string];

/**
 * Marks the scope of objects that a request makes and that may serve other requests too. Node runs the callbacks of a
 * socket, an interval, a server or a worker in the scope of the request that made it, as long as it lives; an error of a
 * later request would be answered on the first one.
 *
 * Emitters are marked when they emit, because a pool's socket can also fail in the scope of the request that writes to it.
 * The others are marked when they are made. Outside the scope of a request this only reads the scope.
 */
export function watchLongLived(): void {
  if (processRecord.unwatch !== undefined) return;
  const net = process.getBuiltinModule("node:net");
  const timers = process.getBuiltinModule("node:timers");
  const { ClientRequest } = process.getBuiltinModule("node:http");
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  const { ChildProcess } = process.getBuiltinModule("node:child_process");
  const { Socket: Datagrams } = process.getBuiltinModule("node:dgram");
  const undo = [
    replace([net.Socket.prototype, "emit"], (inherited) => markWhenEmitting(inherited, socketWorksFor)),
    replace([Worker.prototype, "emit"], (inherited) => markWhenEmitting(inherited, never)),
    replace([ChildProcess.prototype, "emit"], (inherited) => markWhenEmitting(inherited, never)),
    replace([Datagrams.prototype, "emit"], (inherited) => markWhenEmitting(inherited, never)),
    replace([net.Server.prototype, "listen"], markWhenCalled),
    // Here the parser of the other server's response gets its scope.
    replace([ClientRequest.prototype, "onSocket"], markWhenCalled),
    replace([timers, "setInterval"], markWhenCalled),
    replace([globalThis, "setInterval"], markWhenCalled),
  ];
  syncExports();
  processRecord.unwatch = () => {
    for (const one of undo) one();
    syncExports();
  };
}

export function unwatchLongLived(): void {
  processRecord.unwatch?.();
  processRecord.unwatch = undefined;
}

/** Updates the named exports of `node:timers`. */
function syncExports(): void {
  process.getBuiltinModule("node:module").syncBuiltinESMExports();
}

/** Replaces a method; the returned function restores it, unless it was replaced again by other code. */
function replace([holder, name]: Place, make: (current: () => AnyFunction) => AnyFunction): () => void {
  const own = Object.getOwnPropertyDescriptor(holder, name);
  const original = own?.value as AnyFunction | undefined;
  // An inherited method may be replaced later (`node:domain` does it).
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

function markWhenCalled(current: () => AnyFunction): AnyFunction {
  return function made(this: unknown, ...args: never[]): unknown {
    const state = certainState();
    return state === undefined
      ? Reflect.apply(current(), this, args)
      : callInUncertainScope(state, current(), this, args);
  };
}

function markWhenEmitting(
  current: () => AnyFunction,
  worksFor: (emitter: object, state: RequestState) => boolean,
): AnyFunction {
  return function emit(this: object, ...args: never[]): unknown {
    const state = certainState();
    return state === undefined || worksFor(this, state)
      ? Reflect.apply(current(), this, args)
      : callInUncertainScope(state, current(), this, args);
  };
}

function never(): boolean {
  return false;
}

/** Whether a socket works for one request: it was upgraded, or is piped to or from the request. */
function socketWorksFor(socket: object, state: RequestState): boolean {
  if (processRecord.upgradedSockets.has(socket)) return true;
  const to = pipesOf(socket);
  return pipesOf(state.req)?.includes(socket) === true || (to?.length === 1 && to[0] === state.res);
}

function pipesOf(stream: object | undefined): readonly unknown[] | undefined {
  return (stream as Piped | undefined)?._readableState?.pipes;
}
