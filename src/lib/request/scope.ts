import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type RequestState, stateOf } from "./state.js";

type Emit = (this: EventEmitter, name: string | symbol, ...args: unknown[]) => boolean;

/**
 * The scope of an object that a request has made and that may serve other requests too (a socket, an interval, a worker).
 * Code in it has that request as its current context, but an error in it belongs to no request.
 */
class UncertainScope {
  constructor(readonly state: RequestState) {}
}

/** State that the installed copies of the package share. */
interface ProcessRecord {
  readonly scope: AsyncLocalStorage<RequestState | UncertainScope | undefined>;
  readonly UncertainScope: typeof UncertainScope;
  /** The error that a listener is throwing now, and its request. */
  thrown: { readonly error: unknown; readonly state: RequestState | undefined } | undefined;
  /** The sockets of upgraded requests. */
  readonly upgraded: WeakMap<RequestState, Duplex>;
  /** The same sockets: their events belong to their request. */
  readonly upgradedSockets: WeakSet<object>;
  /** Undoes `watchLongLived`. */
  unwatch: (() => void) | undefined;
}

// Registered, because a second installed copy of the package may be the one that serves.
const KEY = Symbol.for("express-portico/scope/4");
export const processRecord = ((globalThis as { [KEY]?: ProcessRecord })[KEY] ??= {
  scope: new AsyncLocalStorage(),
  UncertainScope,
  thrown: undefined,
  upgraded: new WeakMap(),
  upgradedSockets: new WeakSet(),
  unwatch: undefined,
});
const { scope } = processRecord;
const plainEmit = EventEmitter.prototype.emit as Emit;

/** The state of the current request. */
export function currentState(): RequestState | undefined {
  const store = scope.getStore();
  return store instanceof processRecord.UncertainScope ? store.state : store;
}

/** The request to which an error in the current code belongs for certain. */
export function certainState(): RequestState | undefined {
  const store = scope.getStore();
  return store instanceof processRecord.UncertainScope ? undefined : store;
}

/** Calls a function so that errors in it, and in all async work that it starts, belong to no request. */
export function callInUncertainScope<T>(
  state: RequestState,
  fn: (...args: never[]) => T,
  self: unknown,
  args: ArrayLike<unknown>,
): T {
  try {
    return scope.run(new processRecord.UncertainScope(state), () => Reflect.apply(fn, self, args) as T);
  } catch (error) {
    note(error, undefined);
    throw error;
  }
}

/**
 * Runs the rest of the request in its scope. Listeners on the request and the response run in it too: Node emits many of
 * their events in the async context of the connection.
 */
export function startScope(
  state: RequestState,
  req: IncomingMessage,
  res: ServerResponse,
  rest: () => void,
): void {
  if (req.emit === plainEmit && res.emit === plainEmit) {
    req.emit = emitOfPlainRequest as IncomingMessage["emit"];
    if (res.req === req) res.emit = emitOfPlainResponse as ServerResponse["emit"]; // it finds its state by `res.req`
  } else {
    state.emits = { req: req.emit as Emit, res: res.emit as Emit };
    req.emit = emitOfRequest as IncomingMessage["emit"];
    if (res.req === req) res.emit = emitOfResponse as ServerResponse["emit"];
  }
  scope.run(state, rest);
}

// These functions are shared by all requests and find the state by themselves. The rest parameters are only spread: V8 then
// makes no array.

/** Fast path: nobody else has replaced `emit`, and most events have no listener. */
function emitOfPlainRequest(this: IncomingMessage, name: string | symbol, ...args: unknown[]): boolean {
  if (name !== "error" && this.listenerCount(name) === 0) return false;
  return emitInScope(stateOf(this), plainEmit, this, name, ...args);
}

function emitOfPlainResponse(this: ServerResponse, name: string | symbol, ...args: unknown[]): boolean {
  if (name === "pipe") bindPipedStream(args[0], this);
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
  if (name === "pipe") bindPipedStream(args[0], this);
  const emit = state?.emits?.res ?? plainEmit;
  return state === undefined ? emit.call(this, name, ...args) : emitInScope(state, emit, this, name, ...args);
}

/**
 * Emits in the scope of a request. If a listener throws, it remembers the error and the request: the scope is left before
 * 'uncaughtException' is emitted, and from Node 24 on that event can come in the scope of another request.
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
 * Emits the events of a stream in the scope of the response that it is piped into, if it is piped nowhere else. It may have
 * been made in another scope: the response of another server comes on a socket that has served other requests.
 */
function bindPipedStream(source: unknown, res: ServerResponse): void {
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

/** Node's private list of a stream's pipes. */
export interface Piped {
  readonly _readableState?: { readonly pipes?: readonly unknown[] };
}

/**
 * Emits 'upgrade' in the scope of its request. From then on the listeners of the socket run in it too: an error that they
 * do not catch belongs to this request and ends only its connection.
 */
export function upgradeInScope(req: IncomingMessage, socket: Duplex, emit: () => boolean): boolean {
  const state = stateOf(req);
  processRecord.upgraded.set(state, socket);
  processRecord.upgradedSockets.add(socket);
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

/** The socket of an upgraded request. */
export function upgradedSocket(state: RequestState): Duplex | undefined {
  return processRecord.upgraded.get(state);
}

function note(error: unknown, state: RequestState | undefined): void {
  const { thrown } = processRecord;
  if (thrown !== undefined && Object.is(thrown.error, error)) return; // the innermost listener decides
  processRecord.thrown = { error, state };
  // 'uncaughtException' would be emitted before the next microtask. If it is not, the error was caught.
  queueMicrotask(forget);
}

function forget(): void {
  processRecord.thrown = undefined;
}

/** The request of an uncaught error, if it is certain. To be called by a listener of 'uncaughtException'. */
export function stateOfUncaught(error: unknown): RequestState | undefined {
  const { thrown } = processRecord;
  processRecord.thrown = undefined;
  return thrown !== undefined && Object.is(thrown.error, error) ? thrown.state : certainState();
}

/** Runs a function in the scope of a request. */
export function runInScope(state: RequestState, action: () => void): void {
  scope.run(state, action);
}

/** Leaves the scope after an uncaught error: Node 24 would run the events of other requests in it. */
export function leaveScope(): void {
  scope.enterWith(undefined);
}

const outside = new AsyncResource("express-portico");

/** Runs a function outside all scopes, also outside those of the app's own `AsyncLocalStorage`. */
export function runOutside(action: () => void): void {
  outside.runInAsyncScope(() => scope.run(undefined, action));
}
