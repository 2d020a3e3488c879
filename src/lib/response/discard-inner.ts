import type { ServerResponse } from "node:http";
import { interceptorCount, isInterceptorCalling } from "./interceptor.js";
import { isRendering } from "./rendering.js";

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
