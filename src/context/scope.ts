import { AsyncLocalStorage } from "node:async_hooks";
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Facts, factsOf } from "../http/facts.js";

type Emit = (this: EventEmitter, name: string | symbol, ...args: unknown[]) => boolean;

const scope = new AsyncLocalStorage<Facts | undefined>();

/** The record of the request that is being worked on. */
export function currentFacts(): Facts | undefined {
  return scope.getStore();
}

/**
 * Runs the rest of the request within its scope. The listeners of the request and of the response run in it as well,
 * which they would not do by themselves: Node emits many of their events in the context of the connection.
 */
export function runInScope(facts: Facts, req: IncomingMessage, res: ServerResponse, rest: () => void): void {
  facts.emits = { req: req.emit as Emit, res: res.emit as Emit };
  req.emit = emitOfRequest as IncomingMessage["emit"];
  res.emit = emitOfResponse as ServerResponse["emit"];
  scope.run(facts, rest);
}

// Shared by all requests: each finds its record by itself.

function emitOfRequest(this: IncomingMessage, name: string | symbol, ...args: unknown[]): boolean {
  const facts = factsOf(this);
  return emitInScope(facts, facts.emits!.req, this, name, args);
}

function emitOfResponse(this: ServerResponse, name: string | symbol, ...args: unknown[]): boolean {
  const facts = factsOf(this.req);
  return emitInScope(facts, facts.emits!.res, this, name, args);
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
  args: unknown[],
): boolean {
  if (emit === EventEmitter.prototype.emit && name !== "error" && emitter.listenerCount(name) === 0) {
    return false; // most events have no listener
  }
  try {
    if (scope.getStore() === facts) return emit.call(emitter, name, ...args);
    return scope.run(facts, () => emit.call(emitter, name, ...args));
  } catch (error) {
    note(error, facts);
    throw error;
  }
}

let thrown: { readonly error: unknown; readonly facts: Facts } | undefined;

function note(error: unknown, facts: Facts): void {
  if (thrown !== undefined && Object.is(thrown.error, error)) return; // the innermost listener's request is the owner
  thrown = { error, facts };
  // If the process is to hear of it, it does so before the next microtask. Otherwise somebody has caught it.
  queueMicrotask(forget);
}

function forget(): void {
  thrown = undefined;
}

/** Whose work an uncaught error comes from, as far as can be known; to be asked in the process's event. */
export function ownerOf(error: unknown): Facts | undefined {
  const owner = thrown !== undefined && Object.is(thrown.error, error) ? thrown.facts : scope.getStore();
  thrown = undefined;
  return owner;
}

/** After an uncaught error Node 24 would go on in the scope of its request, in which other requests' events then run. */
export function leaveScope(): void {
  scope.enterWith(undefined);
}
