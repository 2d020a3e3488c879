import type { ServerResponse } from "node:http";
import { isMock, isServed } from "../request/transport.js";
import { INTERCEPTORS, type Intercepted, type Slot } from "./interceptor.js";
import { headersSent } from "./write.js";

// What the app sees of a response whose head, end or bytes a tap keeps back: the same as without the tap. All of it is
// put on the response when it is first needed, which for most responses is never. The functions are shared by all
// responses: with closures of its own, each would get a hidden class of its own in V8.

const HELD = Symbol("express-portico.held");
const EMIT = Symbol("express-portico.emit");
const OWN = Symbol("express-portico.own");
type Held = Intercepted & { [HELD]?: OuterMethods; [EMIT]?: Emit; [OWN]?: Record<string, unknown> };
type Method = (this: ServerResponse, ...values: unknown[]) => unknown;
type Emit = (this: ServerResponse, event: string | symbol, ...values: unknown[]) => boolean;

/** The methods as they were. */
class OuterMethods {
  readonly setHeader: Method;
  readonly setHeaders: Method | undefined;
  readonly appendHeader: Method;
  readonly removeHeader: Method;
  readonly implicitHeader: Method | undefined;

  constructor(res: Intercepted & { _implicitHeader?: Method }) {
    this.setHeader = res.setHeader as Method;
    this.setHeaders = res.setHeaders as Method | undefined; // not on HTTP/2
    this.appendHeader = res.appendHeader as Method;
    this.removeHeader = res.removeHeader as Method;
    this.implicitHeader = res._implicitHeader; // not on HTTP/2
  }
}

/** The response has begun, or ended, as far as the app knows. */
export function hold(res: Intercepted): void {
  const held = res as Held;
  if (held[HELD] !== undefined) return;
  const outer = new OuterMethods(res);
  held[HELD] = outer;
  defineOver(held, "headersSent", HEADERS_SENT);
  // An adapter that has no server stops to wait for the response once this is true.
  if (isServed(res.req, res)) defineOver(held, "writableEnded", WRITABLE_ENDED);
  // Else a second answer would change the headers of the first, which only waits to be sent.
  res.setHeader = setHeader as Intercepted["setHeader"];
  if (outer.setHeaders !== undefined) res.setHeaders = setHeaders as Intercepted["setHeaders"];
  res.appendHeader = appendHeader as Intercepted["appendHeader"];
  res.removeHeader = removeHeader as Intercepted["removeHeader"];
  if (outer.implicitHeader !== undefined) Object.assign(res, { _implicitHeader: implicitHeader });
}

/** A mock has properties of its own, which it sets. */
function defineOver(res: Held, name: string, descriptor: PropertyDescriptor): void {
  if (isMock(res)) {
    res[OWN] ??= {};
    res[OWN][name] = Reflect.get(res, name);
    const set = (value: unknown) => {
      res[OWN]![name] = value;
    };
    Object.defineProperty(res, name, { ...descriptor, set });
  } else {
    Object.defineProperty(res, name, descriptor);
  }
}

const HEADERS_SENT: PropertyDescriptor = {
  configurable: true,
  get(this: Held) {
    return isSeen(this, hidesHead) || native(this, "headersSent");
  },
};

const WRITABLE_ENDED: PropertyDescriptor = {
  configurable: true,
  get(this: Held) {
    return isSeen(this, hidesEnd) || native(this, "writableEnded");
  },
};

function setHeader(this: Held, ...values: unknown[]): unknown {
  if (isSeen(this, hidesHead)) throw headersSent("set");
  return this[HELD]!.setHeader.apply(this, values);
}

function setHeaders(this: Held, ...values: unknown[]): unknown {
  if (isSeen(this, hidesHead)) throw headersSent("set");
  return this[HELD]!.setHeaders!.apply(this, values);
}

function appendHeader(this: Held, ...values: unknown[]): unknown {
  if (isSeen(this, hidesHead)) throw headersSent("append");
  return this[HELD]!.appendHeader.apply(this, values);
}

function removeHeader(this: Held, ...values: unknown[]): unknown {
  if (isSeen(this, hidesHead)) throw headersSent("remove");
  return this[HELD]!.removeHeader.apply(this, values);
}

/** express-session calls this where Node has made no head yet, to have one made. */
function implicitHeader(this: Held): void {
  if (!isSeen(this, hidesHead)) this[HELD]!.implicitHeader!.call(this);
}

/** A tap will be waiting for a 'drain', or makes the app wait for one: from here on each 'drain' goes by the taps. */
export function watchDrain(res: Intercepted): void {
  const watched = res as Held;
  if (watched[EMIT] !== undefined) return;
  watched[EMIT] = res.emit as Emit;
  res.emit = emit as Intercepted["emit"];
  defineOver(watched, "writableNeedDrain", WRITABLE_NEED_DRAIN);
}

/** The app has one 'drain' for each time it was told to wait, whatever Node's own buffer did meanwhile. */
function emit(this: Held, event: string | symbol, ...values: unknown[]): boolean {
  if (event === "drain" && tellNext(this, undefined)) return true;
  return this[EMIT]!.call(this, event, ...values);
}

const WRITABLE_NEED_DRAIN: PropertyDescriptor = {
  configurable: true,
  get(this: Held) {
    let nearest = this[INTERCEPTORS];
    while (nearest !== undefined && !decides(nearest)) nearest = nearest.outer;
    if (nearest === undefined) return native(this, "writableNeedDrain");
    return nearest.waits && !nearest.ended && !this.destroyed;
  },
};

/** A tap lets the app go on: those between it and the app are asked first. */
export function passDrain(res: Intercepted, slot: Slot): void {
  if (!tellNext(res, slot)) (res as Held)[EMIT]?.call(res, "drain");
}

/** Tells the outermost tap that has a say, of those further in than `beyond`. */
function tellNext(res: Intercepted, beyond: Slot | undefined): boolean {
  let next: Slot | undefined;
  for (let slot = res[INTERCEPTORS]; slot !== beyond && slot !== undefined; slot = slot.outer) {
    if (decides(slot)) next = slot;
  }
  next?.interceptor.drain?.();
  return next !== undefined;
}

function decides(slot: Slot): boolean {
  return !slot.out && slot.interceptor.drain !== undefined;
}

/**
 * Whoever is called by a tap stands further out, and sees only what those have done that stand there too. A tap that is
 * about to write the head still has it before it.
 */
function isSeen(res: Intercepted, hides: (slot: Slot) => boolean): boolean {
  let seen = false;
  for (let slot = res[INTERCEPTORS]; slot !== undefined; slot = slot.outer) {
    if (slot.passing > 0 || slot.heading) seen = false;
    else if (hides(slot)) seen = true;
  }
  return seen;
}

function hidesHead(slot: Slot): boolean {
  return slot.begun && !slot.headOut && !slot.out;
}

function hidesEnd(slot: Slot): boolean {
  return slot.ended && !slot.out;
}

/** Whether the head has been sent, whatever taps make the app believe. */
export function isHeadSent(res: ServerResponse): boolean {
  return native(res as Held, "headersSent") === true;
}

function native(res: Held, name: string): unknown {
  const own = res[OWN] ?? (isMock(res) ? (res as unknown as Record<string, unknown>) : undefined);
  if (own !== undefined && Object.hasOwn(own, name)) return own[name];
  return Reflect.get(Object.getPrototypeOf(res) as object, name, res);
}
