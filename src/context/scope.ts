import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type RequestState, stateOf } from "../lib/request/state.js";

type Emit = (this: EventEmitter, name: string | symbol, ...args: unknown[]) => boolean;

/**
 * The scope of what a request has made and what may serve other requests too (a socket, an interval, a worker). The
 * work in it finds that request as its context, but an error in it is nobody's.
 */
class Unowned {
  constructor(readonly state: RequestState) {}
}

interface Shared {
  readonly scope: AsyncLocalStorage<RequestState | Unowned | undefined>;
  readonly Unowned: typeof Unowned;
  /** What a listener has thrown, on its way out, and whose it is. */
  thrown: { readonly error: unknown; readonly state: RequestState | undefined } | undefined;
  /** The sockets that requests have taken over, to speak another protocol. */
  readonly upgraded: WeakMap<RequestState, Duplex>;
  /** The same sockets: all that happens on them is their request's. */
  readonly owned: WeakSet<object>;
  /** Takes back what `watchLongLived` has installed. */
  unwatch: (() => void) | undefined;
}

// With a second installed copy of the package, the one that serves may not be the one that made the request's scope.
const KEY = Symbol.for("express-portico/scope/2");
/** What the copies of the package share; for this folder alone. */
export const shared = ((globalThis as { [KEY]?: Shared })[KEY] ??= {
  scope: new AsyncLocalStorage(),
  Unowned,
  thrown: undefined,
  upgraded: new WeakMap(),
  owned: new WeakSet(),
  unwatch: undefined,
});
const { scope } = shared;
const plainEmit = EventEmitter.prototype.emit as Emit;

/** The record of the request that is being worked on. */
export function currentState(): RequestState | undefined {
  const store = scope.getStore();
  return store instanceof shared.Unowned ? store.state : store;
}

/** The request whose work this is for certain: an error in it is that request's. */
export function currentOwner(): RequestState | undefined {
  const store = scope.getStore();
  return store instanceof shared.Unowned ? undefined : store;
}

/** Calls a function so that errors in it, and in all work that it begins, are nobody's. */
export function callUnowned<T>(
  state: RequestState,
  fn: (...args: never[]) => T,
  self: unknown,
  args: ArrayLike<unknown>,
): T {
  try {
    return scope.run(new shared.Unowned(state), () => Reflect.apply(fn, self, args) as T);
  } catch (error) {
    note(error, undefined);
    throw error;
  }
}

/**
 * Runs the rest of the request within its scope. The listeners of the request and of the response run in it as well,
 * which they would not do by themselves: Node emits many of their events in the context of the connection.
 */
export function runInScope(
  state: RequestState,
  req: IncomingMessage,
  res: ServerResponse,
  rest: () => void,
): void {
  if (req.emit === plainEmit && res.emit === plainEmit) {
    req.emit = emitOfPlainRequest as IncomingMessage["emit"];
    if (res.req === req) res.emit = emitOfPlainResponse as ServerResponse["emit"]; // else it would not find its record
  } else {
    state.emits = { req: req.emit as Emit, res: res.emit as Emit };
    req.emit = emitOfRequest as IncomingMessage["emit"];
    if (res.req === req) res.emit = emitOfResponse as ServerResponse["emit"];
  }
  scope.run(state, rest);
}

// Shared by all requests: each finds its record by itself. A copy of a request has the function, but no record. The rest
// is only ever spread: V8 then makes no array of it.

/** Most requests are nobody's but Node's, and most of their events have no listener. */
function emitOfPlainRequest(this: IncomingMessage, name: string | symbol, ...args: unknown[]): boolean {
  if (name !== "error" && this.listenerCount(name) === 0) return false;
  return emitInScope(stateOf(this), plainEmit, this, name, ...args);
}

function emitOfPlainResponse(this: ServerResponse, name: string | symbol, ...args: unknown[]): boolean {
  if (name === "pipe") adopt(args[0], this);
  if (name !== "error" && this.listenerCount(name) === 0) return false;
  if (this.req === undefined) return plainEmit.call(this, name, ...args);
  return emitInScope(stateOf(this.req), plainEmit, this, name, ...args);
}

function emitOfRequest(this: IncomingMessage, name: string | symbol, ...args: unknown[]): boolean {
  const state = stateOf(this);
  return emitInScope(state, state.emits?.req ?? plainEmit, this, name, ...args);
}

function emitOfResponse(this: ServerResponse, name: string | symbol, ...args: unknown[]): boolean {
  const state = this.req === undefined ? undefined : stateOf(this.req);
  if (name === "pipe") adopt(args[0], this);
  const emit = state?.emits?.res ?? plainEmit;
  return state === undefined ? emit.call(this, name, ...args) : emitInScope(state, emit, this, name, ...args);
}

/**
 * A throw unwinds the scope before the process hears of it, and from Node 24 on the process event can even show the
 * scope of another request. So what a listener throws is noted here, with its owner, on its way out.
 */
function emitInScope(
  state: RequestState,
  emit: Emit,
  emitter: EventEmitter,
  name: string | symbol,
  ...args: unknown[]
): boolean {
  try {
    if (scope.getStore() === state) return emit.call(emitter, name, ...args);
    return scope.run(state, call, emit, emitter, name, ...args);
  } catch (error) {
    note(error, state);
    throw error;
  }
}

function call(emit: Emit, emitter: EventEmitter, name: string | symbol, ...args: unknown[]): boolean {
  return emit.call(emitter, name, ...args);
}

/**
 * A stream that is piped into a response works for that request, whatever scope it was made in (the response of another
 * server comes on a socket that may have served others before), as long as it is piped nowhere else.
 */
function adopt(source: unknown, res: ServerResponse): void {
  const stream = source as EventEmitter & Piped;
  if (res.req === undefined || typeof stream?.emit !== "function" || (stream as unknown) === res.req) return;
  const state = stateOf(res.req);
  const inner = stream.emit as Emit;
  stream.emit = function emitOfPiped(this: EventEmitter, name: string | symbol, ...args: unknown[]): boolean {
    const pipes = stream._readableState?.pipes;
    if (pipes?.length !== 1 || pipes[0] !== res) return inner.call(this, name, ...args);
    return emitInScope(state, inner, this, name, ...args);
  } as EventEmitter["emit"];
}

/** What Node keeps of a stream's pipes. */
export interface Piped {
  readonly _readableState?: { readonly pipes?: readonly unknown[] };
}

/**
 * Emits a request to upgrade: its listeners, and from then on those of its socket, work for that request. What they
 * fail to catch is its error, and ends its connection alone.
 */
export function upgradeInScope(req: IncomingMessage, socket: Duplex, emit: () => boolean): boolean {
  const state = stateOf(req);
  shared.upgraded.set(state, socket);
  shared.owned.add(socket);
  const inner = socket.emit as Emit;
  socket.emit = function emitOfUpgraded(this: Duplex, name: string | symbol, ...args: unknown[]): boolean {
    return emitInScope(state, inner, this, name, ...args);
  } as Duplex["emit"];
  try {
    return scope.run(state, emit);
  } catch (error) {
    note(error, state);
    throw error;
  }
}

/** The socket that this request has taken over. */
export function upgradedSocket(state: RequestState): Duplex | undefined {
  return shared.upgraded.get(state);
}

function note(error: unknown, state: RequestState | undefined): void {
  const { thrown } = shared;
  if (thrown !== undefined && Object.is(thrown.error, error)) return; // the innermost listener decides
  shared.thrown = { error, state };
  // If the process is to hear of it, it does so before the next microtask. Otherwise somebody has caught it.
  queueMicrotask(forget);
}

function forget(): void {
  shared.thrown = undefined;
}

/** Whose work an uncaught error comes from, if that is certain; to be asked in the process's event. */
export function ownerOf(error: unknown): RequestState | undefined {
  const { thrown } = shared;
  shared.thrown = undefined;
  return thrown !== undefined && Object.is(thrown.error, error) ? thrown.state : currentOwner();
}

/** Does something for a request, from outside its own calls. */
export function runAsOwner(state: RequestState, action: () => void): void {
  scope.run(state, action);
}

/** After an uncaught error Node 24 would go on in the scope of its request, in which other requests' events then run. */
export function leaveScope(): void {
  scope.enterWith(undefined);
}

const outside = new AsyncResource("express-portico");

/** Does something that belongs to no request, whatever request it was called in; also to none of the app's own scopes. */
export function runOutside(action: () => void): void {
  outside.runInAsyncScope(() => scope.run(undefined, action));
}
