import type { ServerResponse } from "node:http";
import { isHttp2 } from "../request/http2.js";
import { discardLateInner } from "./discard-inner.js";
import { isRendering } from "./rendering.js";

/**
 * Makes every further operation on an answered response harmless: nothing is thrown, nothing is sent, no connection is
 * dropped, and what is still piped into it is closed. Whoever is late with an answer need not know that it is late.
 */
export function discardLate(res: ServerResponse): void {
  if (res.finished) {
    Object.assign(res, DISCARDING);
    // What the request's log will read is what was sent.
    fix(res, "statusCode", () => false);
  } else {
    // Somebody further out has the answer, and has not sent the end of it yet.
    const isOpen = discardLateInner(res, DISCARDING);
    fix(res, "statusCode", isOpen);
    if (!isHttp2(res.req)) fix(res, "statusMessage", isOpen);
  }
  // A pipe that was there before lets go when the response finishes: neither way does Node close the source.
  res.on("pipe", closeSource);
  res.on("unpipe", closeSource);
  res.on("error", ignore);
}

function fix(res: ServerResponse, name: "statusCode" | "statusMessage", isOpen: () => boolean): void {
  let value: unknown = res[name];
  Object.defineProperty(res, name, {
    configurable: true,
    enumerable: true,
    get: () => value,
    set: (next: unknown) => {
      if (isOpen()) value = next;
    },
  });
}

function ignore(): void {}

function same(this: unknown): unknown {
  return this;
}

const DISCARDING = {
  setHeader: same,
  setHeaders: same,
  appendHeader: same,
  removeHeader: ignore,
  writeHead: same,
  flushHeaders: ignore,
  writeContinue: ignore,
  writeProcessing: ignore,
  writeEarlyHints: ignore,
  writeInformation: ignore,
  addTrailers: ignore,
  setTrailer: ignore,
  cork: ignore,
  uncork: ignore,
  destroy: same,
  /** True: nobody has to wait for a 'drain' that does not come. */
  write(...args: unknown[]): boolean {
    refuse(args);
    return true;
  },
  end(...args: unknown[]): unknown {
    refuse(args);
    return this;
  },
};

/** The callback of a late `write` or `end` is told. */
function refuse(args: unknown[]): void {
  const callback = args.findLast((arg) => typeof arg === "function") as ((error: Error) => void) | undefined;
  if (callback === undefined) return;
  const error = new Error("the response has ended: the server had given it up");
  process.nextTick(callback, Object.assign(error, { code: "ERR_STREAM_WRITE_AFTER_END" }));
}

interface Source {
  unpipe?(from: unknown): void;
  resume?(): void;
  destroy?(): void;
}

function closeSource(this: ServerResponse, source: Source): void {
  if (isRendering(this)) return;
  try {
    if ((source as unknown) === this.req) {
      source.unpipe?.(this);
      source.resume?.(); // the rest of the request's body must flow past, or the connection would stand still
    } else {
      source.destroy?.();
    }
  } catch {
    // A source of somebody's own making.
  }
}
