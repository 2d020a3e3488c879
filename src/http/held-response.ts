import type { ServerResponse } from "node:http";
import { type Link, TAPS, type Tapped } from "./body-link.js";
import { headersSent } from "./write-errors.js";

// What the app sees of a response whose head, end or bytes a tap keeps back: the same as without the tap. All of it is
// put on the response when it is first needed, which for most responses is never.

const HELD = Symbol("express-portico.held");
const WATCHED = Symbol("express-portico.drain");
type Held = Tapped & { [HELD]?: true; [WATCHED]?: true };

/** The response has begun, or ended, as far as the app knows. */
export function hold(res: Tapped): void {
  const held = res as Held;
  if (held[HELD]) return;
  held[HELD] = true;
  show(res, "headersSent", () => isSeen(res, hidesHead));
  show(res, "writableEnded", () => isSeen(res, hidesEnd));
  keepHead(res);
  refuseOnceBegun(res, "setHeader", "set");
  refuseOnceBegun(res, "setHeaders", "set");
  refuseOnceBegun(res, "appendHeader", "append");
  refuseOnceBegun(res, "removeHeader", "remove");
}

/** A tap will be waiting for a 'drain', or makes the app wait for one: from here on each 'drain' goes by the taps. */
export function watchDrain(res: Tapped): void {
  const watched = res as Held;
  if (watched[WATCHED]) return;
  watched[WATCHED] = true;
  const outer = res.emit as (event: string | symbol, ...values: unknown[]) => boolean;
  res.emit = function emit(this: Tapped, event: string | symbol, ...values: unknown[]): boolean {
    // The app has one 'drain' for each time it was told to wait, whatever Node's own buffer did meanwhile.
    if (event === "drain" && tellNext(res, undefined)) return true;
    return outer.call(this, event, ...values);
  } as Tapped["emit"];
  passOn.set(res, () => outer.call(res, "drain"));
  Object.defineProperty(res, "writableNeedDrain", {
    configurable: true,
    get: () => {
      let nearest = res[TAPS];
      while (nearest !== undefined && !decides(nearest)) nearest = nearest.outer;
      if (nearest === undefined) return native(res, "writableNeedDrain");
      return nearest.waits && !nearest.ended && !res.destroyed;
    },
  });
}

const passOn = new WeakMap<ServerResponse, () => void>();

/** A tap lets the app go on: those between it and the app are asked first. */
export function passDrain(res: Tapped, link: Link): void {
  if (!tellNext(res, link)) passOn.get(res)?.();
}

/** Tells the outermost tap that has a say, of those further in than `beyond`. */
function tellNext(res: Tapped, beyond: Link | undefined): boolean {
  let next: Link | undefined;
  for (let link = res[TAPS]; link !== beyond && link !== undefined; link = link.outer) {
    if (decides(link)) next = link;
  }
  next?.tap.drain?.();
  return next !== undefined;
}

function decides(link: Link): boolean {
  return !link.out && link.tap.drain !== undefined;
}

/** Whoever is called by a tap stands further out, and sees only what those have done that stand there too. */
function isSeen(res: Tapped, hides: (link: Link) => boolean): boolean {
  let seen = false;
  for (let link = res[TAPS]; link !== undefined; link = link.outer) {
    if (link.passing > 0) seen = false;
    else if (hides(link)) seen = true;
  }
  return seen;
}

function hidesHead(link: Link): boolean {
  return link.begun && !link.headOut && !link.out;
}

function hidesEnd(link: Link): boolean {
  return link.ended && !link.out;
}

function show(res: Tapped, name: "headersSent" | "writableEnded", isHidden: () => boolean): void {
  Object.defineProperty(res, name, { configurable: true, get: () => isHidden() || native(res, name) });
}

function native(res: Tapped, name: string): unknown {
  return Reflect.get(Object.getPrototypeOf(res) as object, name, res);
}

/** express-session calls this where Node has made no head yet, to have one made. */
function keepHead(res: Tapped & { _implicitHeader?: () => void }): void {
  const outer = res._implicitHeader;
  if (outer === undefined) return; // on HTTP/2
  res._implicitHeader = function implicitHeader() {
    if (!isSeen(res, hidesHead)) outer.call(res);
  };
}

type Change = "setHeader" | "setHeaders" | "appendHeader" | "removeHeader";

/** Else a second answer would change the headers of the first, which only waits to be sent. */
function refuseOnceBegun(res: Tapped, name: Change, verb: "set" | "append" | "remove"): void {
  const outer = res[name] as ((...values: unknown[]) => unknown) | undefined;
  if (outer === undefined) return; // `setHeaders` on HTTP/2
  const guarded = function (this: Tapped, ...values: unknown[]): unknown {
    if (isSeen(res, hidesHead)) throw headersSent(verb);
    return outer.apply(this, values);
  };
  (res as unknown as Record<Change, unknown>)[name] = guarded;
}
