import type { AsyncLocalStorage } from "node:async_hooks";
import type { ServerResponse } from "node:http";
import { isHttp2 } from "../request/transport.js";
import { isChainCalling } from "./chain.js";
import { hasInterceptor } from "./intercept.js";

/**
 * Discards late writes: from now on no call on the answered response throws, sends anything or closes the connection, and
 * streams that are piped into it are closed. A late handler needs no checks.
 */
export function discardLate(res: ServerResponse): void {
  if (res.finished) {
    Object.assign(res, DISCARDING);
    // The log must read what was sent.
    freeze(res, "statusCode", () => false);
  } else {
    // Outer code has the answer, and has not sent its end yet.
    const isOpen = discardLateInner(res, DISCARDING);
    freeze(res, "statusCode", isOpen);
    if (!isHttp2(res.req)) freeze(res, "statusMessage", isOpen);
  }
  // A source that was piped before is unpiped when the response finishes. Node closes no source, piped before or later.
  res.on("pipe", closeSource);
  res.on("unpipe", closeSource);
  res.on("error", ignore);
}

function freeze(res: ServerResponse, name: "statusCode" | "statusMessage", isOpen: () => boolean): void {
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
  /** True: there will be no 'drain' to wait for. */
  write(...args: unknown[]): boolean {
    failCallback(args);
    return true;
  },
  end(...args: unknown[]): unknown {
    failCallback(args);
    return this;
  },
};

/** Calls the callback of a late `write` or `end` with an error. */
function failCallback(args: unknown[]): void {
  const callback = args.findLast((arg) => typeof arg === "function") as ((error: Error) => void) | undefined;
  if (callback === undefined) return;
  const error = new Error("the response has ended: the server had answered the request");
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
      source.resume?.(); // the rest of the body must be read, or the connection would stop
    } else {
      source.destroy?.();
    }
  } catch {
    // A custom source that throws.
  }
}

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Methods = Record<string, Method | undefined>;

/**
 * Puts the discarding methods on a response whose answer outer code has still to send (a session that is being saved, an
 * encoder). Outer code has references to the real methods; but Node's own methods call each other on the response, and
 * those calls must reach the real ones too. Returns a function that tells whether such a call is running.
 */
export function discardLateInner(res: ServerResponse, discarding: Methods): () => boolean {
  const methods = res as unknown as Methods;
  const { uncork } = methods;
  let depth = 0;
  const isOpen = () => depth > 0 || isChainCalling(res) || isRendering(res);
  for (const [name, discard] of Object.entries(discarding)) {
    const real = methods[name];
    methods[name] = function (...args) {
      return (isOpen() && real !== undefined ? real : discard!).apply(this, args);
    };
  }
  const callReal = (method: Method, ...args: unknown[]) => {
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

  // Node's `write` and `end` call this to make the head.
  const head = methods._implicitHeader;
  if (head !== undefined) methods._implicitHeader = () => callReal(head);
  const { stream } = res as unknown as { stream?: Stream };
  if (stream !== undefined) {
    endByStream(res, stream, () => {
      // An interceptor sends the head before the end.
      if (!stream.headersSent && !hasInterceptor(res)) callReal(methods.writeHead!, res.statusCode);
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
 * own `end`. The first call looks like a late `write` of the handler; only the call of the stream's `end` shows that it is
 * not.
 */
function endByStream(res: ServerResponse, stream: Stream, sendHead: () => void): void {
  const discard = res.write as unknown as Method;
  let last: unknown[] | undefined;
  res.write = function write(this: unknown, ...args: unknown[]) {
    if (args.length !== 2 || typeof args[1] === "function" || isChainCalling(res) || isRendering(res)) {
      return discard.apply(this, args) as boolean;
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

/** Made on first use, as it makes promises slower. */
let renderers: AsyncLocalStorage<ServerResponse> | undefined;

/**
 * Runs `render` for a request that has timed out. It may be asynchronous, and meanwhile all that the late handler does with
 * the same response is ignored: the async context tells which of them calls.
 */
export function callAsRenderer(res: ServerResponse, action: () => void): void {
  if (renderers === undefined) {
    const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");
    renderers = new AsyncLocalStorage();
  }
  renderers.run(res, action);
}

/** Whether the running code was called by `callAsRenderer` for this response. */
export function isRendering(res: ServerResponse): boolean {
  return renderers !== undefined && renderers.getStore() === res;
}
