import type { ServerResponse } from "node:http";
import { isMock, isServed } from "../request/transport.js";
import { knownChain, type Receiver } from "./chain.js";
import { headersSent } from "./write.js";

// What the app sees of a response whose head, end or body an interceptor has not sent yet: the same as without it. It is
// installed when it is first needed, which for most responses is never. All responses share the functions: with closures,
// V8 would give each response a hidden class of its own.

const HELD = Symbol("express-portico.held");
const EMIT = Symbol("express-portico.emit");
const OWN = Symbol("express-portico.own");
type Method = (this: ServerResponse, ...values: unknown[]) => unknown;
type Emit = (this: ServerResponse, event: string | symbol, ...values: unknown[]) => boolean;
type Methods = Record<string, Method | undefined>;
type Held = ServerResponse & { [HELD]?: Methods; [EMIT]?: Emit; [OWN]?: Record<string, unknown> };

/** A second answer must not change the headers of the first one, which is not sent yet. */
const GUARDED = {
  setHeader: guarded("setHeader", "set"),
  setHeaders: guarded("setHeaders", "set"), // not on HTTP/2
  appendHeader: guarded("appendHeader", "append"),
  removeHeader: guarded("removeHeader", "remove"),
  /** express-session calls this if Node has no head yet. */
  _implicitHeader: guarded("_implicitHeader", undefined), // not on HTTP/2
};

function guarded(name: string, verb: "set" | "append" | "remove" | undefined): Method {
  return function (this: Held, ...values) {
    if (!isSeen(this, hidesHead)) return this[HELD]![name]!.apply(this, values);
    if (verb !== undefined) throw headersSent(verb);
  };
}

/** Installs the view: for the app, the response has begun or ended. */
export function hold(res: ServerResponse): void {
  const held = res as Held;
  if (held[HELD] !== undefined) return;
  const methods = res as unknown as Methods;
  const { setHeader, setHeaders, appendHeader, removeHeader, _implicitHeader } = methods;
  held[HELD] = { setHeader, setHeaders, appendHeader, removeHeader, _implicitHeader };
  defineOver(held, "headersSent", HEADERS_SENT);
  // Without a server: an adapter stops waiting for the response once this is true.
  if (isServed(res.req, res)) defineOver(held, "writableEnded", WRITABLE_ENDED);
  for (const [name, method] of Object.entries(GUARDED)) {
    if (methods[name] !== undefined) methods[name] = method;
  }
}

/** A mock sets these as its own properties. */
function defineOver(res: Held, name: string, descriptor: PropertyDescriptor): void {
  if (isMock(res)) {
    const own = (res[OWN] ??= {});
    own[name] = Reflect.get(res, name);
    const set = (value: unknown) => {
      own[name] = value;
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

const WRITABLE_NEED_DRAIN: PropertyDescriptor = {
  configurable: true,
  get(this: Held) {
    let nearest = knownChain(this)?.innermost;
    while (nearest !== undefined && !decidesDrain(nearest)) nearest = nearest.outer;
    if (nearest === undefined) return native(this, "writableNeedDrain");
    return nearest.waits === true && !nearest.ended && !this.destroyed;
  },
};

/** From now on each 'drain' event goes through the interceptors. */
export function watchDrain(res: ServerResponse): void {
  const watched = res as Held;
  if (watched[EMIT] !== undefined) return;
  watched[EMIT] = res.emit as Emit;
  res.emit = emit as ServerResponse["emit"];
  defineOver(watched, "writableNeedDrain", WRITABLE_NEED_DRAIN);
}

/** The app gets one 'drain' for each `write` that returned false, independent of Node's own buffer. */
function emit(this: Held, event: string | symbol, ...values: unknown[]): boolean {
  if (event === "drain" && passDrainTo(this, -1)) return true;
  return this[EMIT]!.call(this, event, ...values);
}

/** The interceptor at this level accepts more: emits 'drain' to the app, through the inner interceptors. */
export function passDrain(res: ServerResponse, level: number): void {
  if (!passDrainTo(res, level)) (res as Held)[EMIT]?.call(res, "drain");
}

/** Of the interceptors inside the level, calls `onDrain` of the outermost that has it. Returns whether there is one. */
function passDrainTo(res: ServerResponse, level: number): boolean {
  let next: Receiver | undefined;
  for (let link = knownChain(res)?.innermost; link !== undefined && link.level > level; link = link.outer) {
    if (decidesDrain(link)) next = link;
  }
  next?.interceptor?.onDrain?.();
  return next !== undefined;
}

function decidesDrain({ interceptor }: Receiver): boolean {
  return interceptor?.onDrain !== undefined;
}

/** Code that a link calls is outer code, and sees only the outer state. */
function isSeen(res: ServerResponse, hides: (link: Receiver) => boolean): boolean {
  const chain = knownChain(res);
  for (let link = chain?.innermost; link !== undefined; link = link.outer) {
    if (link.level < chain!.calling && hides(link)) return true;
  }
  return false;
}

function hidesHead({ interceptor, begun, headPassedOn }: Receiver): boolean {
  return begun === true && !headPassedOn && interceptor !== undefined;
}

function hidesEnd({ interceptor, ended }: Receiver): boolean {
  return ended === true && interceptor !== undefined;
}

/** Whether the head has really been sent. */
export function isHeadSent(res: ServerResponse): boolean {
  return (res as Held)[HELD] === undefined ? res.headersSent : native(res as Held, "headersSent") === true;
}

function native(res: Held, name: string): unknown {
  const own = res[OWN] ?? (isMock(res) ? (res as unknown as Record<string, unknown>) : undefined);
  if (own !== undefined && Object.hasOwn(own, name)) return own[name];
  return Reflect.get(Object.getPrototypeOf(res) as object, name, res);
}
