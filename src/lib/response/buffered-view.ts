import type { ServerResponse } from "node:http";
import { isMock, isServed } from "../request/transport.js";
import { INTERCEPTORS, type Intercepted, type Slot } from "./interceptor.js";
import { headersSent } from "./write.js";

// What the app sees of a response whose head, end or body an interceptor has not sent yet: the same as without it. It is
// installed when it is first needed, which for most responses is never. All responses share the functions: with closures,
// V8 would give each response a hidden class of its own.

const HELD = Symbol("express-portico.held");
const EMIT = Symbol("express-portico.emit");
const OWN = Symbol("express-portico.own");
type Held = Intercepted & { [HELD]?: OuterMethods; [EMIT]?: Emit; [OWN]?: Record<string, unknown> };
type Method = (this: ServerResponse, ...values: unknown[]) => unknown;
type Emit = (this: ServerResponse, event: string | symbol, ...values: unknown[]) => boolean;

/** The methods before the view was installed. */
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

/** Installs the view: for the app, the response has begun or ended. */
export function hold(res: Intercepted): void {
  const held = res as Held;
  if (held[HELD] !== undefined) return;
  const outer = new OuterMethods(res);
  held[HELD] = outer;
  defineOver(held, "headersSent", HEADERS_SENT);
  // Without a server: an adapter stops waiting for the response once this is true.
  if (isServed(res.req, res)) defineOver(held, "writableEnded", WRITABLE_ENDED);
  // A second answer must not change the headers of the first one, which is not sent yet.
  res.setHeader = setHeader as Intercepted["setHeader"];
  if (outer.setHeaders !== undefined) res.setHeaders = setHeaders as Intercepted["setHeaders"];
  res.appendHeader = appendHeader as Intercepted["appendHeader"];
  res.removeHeader = removeHeader as Intercepted["removeHeader"];
  if (outer.implicitHeader !== undefined) Object.assign(res, { _implicitHeader: implicitHeader });
}

/** A mock sets these as its own properties. */
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

/** express-session calls this if Node has no head yet. */
function implicitHeader(this: Held): void {
  if (!isSeen(this, hidesHead)) this[HELD]!.implicitHeader!.call(this);
}

/** From now on each 'drain' event goes through the interceptors. */
export function watchDrain(res: Intercepted): void {
  const watched = res as Held;
  if (watched[EMIT] !== undefined) return;
  watched[EMIT] = res.emit as Emit;
  res.emit = emit as Intercepted["emit"];
  defineOver(watched, "writableNeedDrain", WRITABLE_NEED_DRAIN);
}

/** The app gets one 'drain' for each `write` that returned false, whatever Node's own buffer does. */
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

/** An interceptor lets the app go on, through the inner interceptors. */
export function passDrain(res: Intercepted, slot: Slot): void {
  if (!tellNext(res, slot)) (res as Held)[EMIT]?.call(res, "drain");
}

/** Calls `drain` of the outermost interceptor that has one, of those inside `beyond`. */
function tellNext(res: Intercepted, beyond: Slot | undefined): boolean {
  let next: Slot | undefined;
  for (let slot = res[INTERCEPTORS]; slot !== beyond && slot !== undefined; slot = slot.outer) {
    if (decides(slot)) next = slot;
  }
  next?.interceptor.drain?.();
  return next !== undefined;
}

function decides(slot: Slot): boolean {
  return !slot.isInactive && slot.interceptor.drain !== undefined;
}

/**
 * Code that an interceptor calls is outer code, and sees only the outer state. While an interceptor is handling the head,
 * the head counts as not sent for it.
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
  return slot.begun && !slot.headPassedOn && !slot.isInactive;
}

function hidesEnd(slot: Slot): boolean {
  return slot.ended && !slot.isInactive;
}

/** Whether the head has really been sent. */
export function isHeadSent(res: ServerResponse): boolean {
  return native(res as Held, "headersSent") === true;
}

function native(res: Held, name: string): unknown {
  const own = res[OWN] ?? (isMock(res) ? (res as unknown as Record<string, unknown>) : undefined);
  if (own !== undefined && Object.hasOwn(own, name)) return own[name];
  return Reflect.get(Object.getPrototypeOf(res) as object, name, res);
}
