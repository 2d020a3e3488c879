import type { ServerResponse } from "node:http";

/**
 * Makes every further operation on an answered response harmless: nothing is thrown, nothing is sent, no connection is
 * dropped, and what is still piped into it is closed. Whoever is late with an answer need not know that it is late.
 */
export function silence(res: ServerResponse): void {
  Object.assign(res, SILENT);
  const { statusCode } = res;
  // What the request's log will read is what was sent.
  const fixed = { configurable: true, enumerable: true, get: () => statusCode, set: () => {} };
  Object.defineProperty(res, "statusCode", fixed);
  // A pipe that was there before lets go when the response finishes: neither way does Node close the source.
  res.on("pipe", closeSource);
  res.on("unpipe", closeSource);
  res.on("error", ignore);
}

function ignore(): void {}

function same(this: unknown): unknown {
  return this;
}

const SILENT = {
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
  const error = new Error("the response has ended: its request had timed out");
  process.nextTick(callback, Object.assign(error, { code: "ERR_STREAM_WRITE_AFTER_END" }));
}

interface Source {
  unpipe?(from: unknown): void;
  resume?(): void;
  destroy?(): void;
}

function closeSource(this: ServerResponse, source: Source): void {
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
