import type { ServerResponse } from "node:http";
import { INTERCEPTORS, type Intercepted, Link } from "./interceptor-chain.js";

export type Chunk = string | Uint8Array;
export type WriteCallback = (error?: Error | null) => void;

/** Stands between the app and the response: it is given the head and the body, and hands on what it wants. */
export interface Interceptor {
  /**
   * The app begins its answer: all its headers are set on the response, and those further in have had their say.
   * `whole` is the length of the body in bytes, if the app gives all of it at once. The tap writes the head, now or
   * later, by `outlet.writeHead`. If Node refuses that head, it is called again with the app's next.
   */
  head(status: number, reason: string | undefined, whole: number | undefined): void;
  /** As of `res.write`: false asks the app to wait for 'drain'. */
  write(chunk: Chunk, encoding: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean;
  end(
    chunk: Chunk | undefined,
    encoding: BufferEncoding | undefined,
    callback: WriteCallback | undefined,
  ): void;
  /** What was written so far is wanted on the wire. */
  flush(): void;
  /**
   * The outlet takes more, after an `outlet.write` that was false. A tap that has this decides by itself, with
   * `outlet.drain`, when the app may go on; without it a 'drain' from further out passes.
   */
  drain?(): void;
  /** Another answer has taken the place of this one. */
  drop?(): void;
}

/** The response as it is further out. Does nothing once somebody further out has put another answer in its place. */
export interface Outer {
  /** `prepare` is run before the hooks of those further out, and may still change the headers. */
  writeHead(status: number, reason?: string, prepare?: () => void): void;
  write(chunk: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): boolean;
  end(chunk?: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): void;
  /** Sends the head, if it was written and nothing came after it. */
  flushHeaders(): void;
  /** Tells the app that it may go on, if its last `write` was false. */
  drain(): void;
  /** Writes the head, and takes no part any more: the app's body goes on untouched. Only from within `head`. */
  stepAside(status: number, reason?: string): void;
}

/**
 * Puts a tap on the response. Taps stand in the order in which they are put: the last one is nearest to the app.
 * Towards the app the response behaves as without: `headersSent` and `writableEnded` are true once the app has begun
 * and ended, and headers can no longer be changed, even while the tap holds its answer back.
 */
export function intercept(res: ServerResponse, make: (outlet: Outer) => Interceptor): void {
  const tapped = res as Intercepted;
  const link = new Link(tapped);
  tapped[INTERCEPTORS] = link;
  link.install(make(link));
}

/** How many taps are on the response. */
export function interceptorCount(res: ServerResponse): number {
  let count = 0;
  for (let link = (res as Intercepted)[INTERCEPTORS]; link !== undefined; link = link.outer) count++;
  return count;
}

/** Whether a tap is calling, at this moment, on Node or on others that have a part in the response. */
export function isInterceptorCalling(res: ServerResponse): boolean {
  for (let link = (res as Intercepted)[INTERCEPTORS]; link !== undefined; link = link.outer) {
    if (link.passing > 0 || link.beginning) return true;
  }
  return false;
}

/** Takes the taps nearest to the app off, down to `count`: what they hold is lost, and what they still do is nothing. */
export function dropInterceptors(res: ServerResponse, count: number): void {
  const tapped = res as Intercepted;
  for (let left = interceptorCount(res); left > count; left--) {
    const link = tapped[INTERCEPTORS]!;
    tapped[INTERCEPTORS] = link.outer;
    link.drop();
  }
}
