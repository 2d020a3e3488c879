import type { AsyncLocalStorage } from "node:async_hooks";
import type { ServerResponse } from "node:http";
import { isHttp2 } from "../request/transport.js";
import { interceptorCount, isInterceptorCalling } from "./interceptor-chain.js";

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

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Methods = Record<string, Method | undefined>;

/**
 * Puts the silent methods on a response whose answer somebody further out still has to send (a session that is being
 * saved, a coder at work). They have the real methods, for they took them before; but Node's own methods call one
 * another by way of the response, and that must reach the real ones too. Returns whether such a call is under way.
 */
export function discardLateInner(res: ServerResponse, discarding: Methods): () => boolean {
  const methods = res as unknown as Methods;
  const { uncork } = methods;
  let depth = 0;
  const isOpen = () => depth > 0 || isInterceptorCalling(res) || isRendering(res);
  for (const [name, quiet] of Object.entries(discarding)) {
    const real = methods[name];
    methods[name] = function (...args) {
      return (isOpen() && real !== undefined ? real : quiet!).apply(this, args);
    };
  }
  const open = (method: Method, ...args: unknown[]) => {
    depth++;
    try {
      return method.apply(res, args);
    } finally {
      depth--;
    }
  };

  // From Node 26, Node's `write` corks the response, and a later tick or `end` calls `uncork`: without it the body is lost.
  if (uncork !== undefined) {
    methods.uncork = () => {
      if (res.writableCorked > 0) uncork.call(res);
    };
  }

  // How Node's `write` and `end` have the head made.
  const head = methods._implicitHeader;
  if (head !== undefined) methods._implicitHeader = () => open(head);
  const { stream } = res as unknown as { stream?: Stream };
  if (stream !== undefined) {
    endByStream(res, stream, () => {
      // A tap has sent the head before it ends.
      if (!stream.headersSent && interceptorCount(res) === 0) open(methods.writeHead!, res.statusCode);
    });
  }
  return isOpen;
}

interface Stream {
  readonly headersSent: boolean;
  readonly closed: boolean;
  readonly writableEnded: boolean;
  end(...chunk: unknown[]): unknown;
}

/**
 * On HTTP/2, Node's `end(chunk)` calls `res.write(chunk, encoding)`, perhaps `res.writeHead`, and at once the stream's
 * own `end`. It is the last of these by which it can be told from a late `write` of those further in.
 */
function endByStream(res: ServerResponse, stream: Stream, sendHead: () => void): void {
  const quiet = res.write as unknown as Method;
  let last: unknown[] | undefined;
  res.write = function write(this: unknown, ...args: unknown[]) {
    if (args.length !== 2 || typeof args[1] === "function" || isInterceptorCalling(res) || isRendering(res)) {
      return quiet.apply(this, args) as boolean;
    }
    last = args;
    process.nextTick(() => {
      if (last === args) last = undefined;
    });
    sendHead();
    return true;
  } as ServerResponse["write"];

  const { end } = stream;
  stream.end = (...args: unknown[]) => {
    const chunk = last ?? args;
    last = undefined;
    stream.end = end;
    if (!stream.closed) sendHead();
    return stream.writableEnded ? stream : end.apply(stream, chunk);
  };
}

/** Made on first use: until then no promise of the process is followed for it. */
let renderers: AsyncLocalStorage<ServerResponse> | undefined;

/**
 * Runs what writes the answer to a request that a timeout has given up: it may wait for something, and meanwhile all that
 * the late handler does with the same response is ignored. They are told apart by where their calls come from.
 */
export function callAsRenderer(res: ServerResponse, action: () => void): void {
  if (renderers === undefined) {
    const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");
    renderers = new AsyncLocalStorage();
  }
  renderers.run(res, action);
}

/** Whether this is called by what writes the response's answer. */
export function isRendering(res: ServerResponse): boolean {
  return renderers !== undefined && renderers.getStore() === res;
}
