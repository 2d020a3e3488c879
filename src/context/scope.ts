import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type Facts, factsOf } from "../http/facts.js";

type Emit = (this: EventEmitter, name: string | symbol, ...args: unknown[]) => boolean;

interface Shared {
  readonly scope: AsyncLocalStorage<Facts | undefined>;
  /** What a listener of a request has thrown, on its way out. */
  thrown: { readonly error: unknown; readonly facts: Facts } | undefined;
  /** The sockets that requests have taken over, to speak another protocol. */
  readonly upgraded: WeakMap<Facts, Duplex>;
}

// With a second installed copy of the package, the one that serves may not be the one that made the request's scope.
const KEY = Symbol.for("express-portico/scope/1");
const shared = ((globalThis as { [KEY]?: Shared })[KEY] ??= {
  scope: new AsyncLocalStorage(),
  thrown: undefined,
  upgraded: new WeakMap(),
});
const { scope } = shared;
const plainEmit = EventEmitter.prototype.emit as Emit;

/** The record of the request that is being worked on. */
export function currentFacts(): Facts | undefined {
  return scope.getStore();
}

/**
 * Runs the rest of the request within its scope. The listeners of the request and of the response run in it as well,
 * which they would not do by themselves: Node emits many of their events in the context of the connection.
 */
export function runInScope(facts: Facts, req: IncomingMessage, res: ServerResponse, rest: () => void): void {
  if (req.emit === plainEmit && res.emit === plainEmit) {
    req.emit = emitOfPlainRequest as IncomingMessage["emit"];
    if (res.req === req) res.emit = emitOfPlainResponse as ServerResponse["emit"]; // else it would not find its record
  } else {
    facts.emits = { req: req.emit as Emit, res: res.emit as Emit };
    req.emit = emitOfRequest as IncomingMessage["emit"];
    if (res.req === req) res.emit = emitOfResponse as ServerResponse["emit"];
  }
  scope.run(facts, rest);
}

// Shared by all requests: each finds its record by itself. A copy of a request has the function, but no record. The rest
// is only ever spread: V8 then makes no array of it.

/** Most requests are nobody's but Node's, and most of their events have no listener. */
function emitOfPlainRequest(this: IncomingMessage, name: string | symbol, ...args: unknown[]): boolean {
  if (name !== "error" && this.listenerCount(name) === 0) return false;
  return emitInScope(factsOf(this), plainEmit, this, name, ...args);
}

function emitOfPlainResponse(this: ServerResponse, name: string | symbol, ...args: unknown[]): boolean {
  if (name !== "error" && this.listenerCount(name) === 0) return false;
  if (this.req === undefined) return plainEmit.call(this, name, ...args);
  return emitInScope(factsOf(this.req), plainEmit, this, name, ...args);
}

function emitOfRequest(this: IncomingMessage, name: string | symbol, ...args: unknown[]): boolean {
  const facts = factsOf(this);
  return emitInScope(facts, facts.emits?.req ?? plainEmit, this, name, ...args);
}

function emitOfResponse(this: ServerResponse, name: string | symbol, ...args: unknown[]): boolean {
  const facts = this.req === undefined ? undefined : factsOf(this.req);
  const emit = facts?.emits?.res ?? plainEmit;
  return facts === undefined ? emit.call(this, name, ...args) : emitInScope(facts, emit, this, name, ...args);
}

/**
 * A throw unwinds the scope before the process hears of it, and from Node 24 on the process event can even show the
 * scope of another request. So what a listener throws is noted here, with its owner, on its way out.
 */
function emitInScope(
  facts: Facts,
  emit: Emit,
  emitter: EventEmitter,
  name: string | symbol,
  ...args: unknown[]
): boolean {
  try {
    if (scope.getStore() === facts) return emit.call(emitter, name, ...args);
    return scope.run(facts, call, emit, emitter, name, ...args);
  } catch (error) {
    note(error, facts);
    throw error;
  }
}

function call(emit: Emit, emitter: EventEmitter, name: string | symbol, ...args: unknown[]): boolean {
  return emit.call(emitter, name, ...args);
}

/**
 * Emits a request to upgrade: its listeners, and from then on those of its socket, work for that request. What they
 * fail to catch is its error, and ends its connection alone.
 */
export function upgradeInScope(req: IncomingMessage, socket: Duplex, emit: () => boolean): boolean {
  const facts = factsOf(req);
  shared.upgraded.set(facts, socket);
  const inner = socket.emit as Emit;
  socket.emit = function emitOfUpgraded(this: Duplex, name: string | symbol, ...args: unknown[]): boolean {
    return emitInScope(facts, inner, this, name, ...args);
  } as Duplex["emit"];
  try {
    return scope.run(facts, emit);
  } catch (error) {
    note(error, facts);
    throw error;
  }
}

/** The socket that this request has taken over. */
export function upgradedSocket(facts: Facts): Duplex | undefined {
  return shared.upgraded.get(facts);
}

function note(error: unknown, facts: Facts): void {
  const { thrown } = shared;
  if (thrown !== undefined && Object.is(thrown.error, error)) return; // the innermost listener's request is the owner
  shared.thrown = { error, facts };
  // If the process is to hear of it, it does so before the next microtask. Otherwise somebody has caught it.
  queueMicrotask(forget);
}

function forget(): void {
  shared.thrown = undefined;
}

/** Whose work an uncaught error comes from, as far as can be known; to be asked in the process's event. */
export function ownerOf(error: unknown): Facts | undefined {
  const { thrown } = shared;
  shared.thrown = undefined;
  return thrown !== undefined && Object.is(thrown.error, error) ? thrown.facts : scope.getStore();
}

/** Does something for a request, from outside its own calls. */
export function runAsOwner(facts: Facts, action: () => void): void {
  scope.run(facts, action);
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
