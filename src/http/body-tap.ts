import type { ServerResponse } from "node:http";
import { takeHead } from "./response-hooks.js";

export type Chunk = string | Uint8Array;
export type WriteCallback = (error?: Error | null) => void;

/** Stands between the app and the response: it is given the head and the body, and hands on what it wants. */
export interface Tap {
  /**
   * The app begins its answer: all its headers are set on the response, and those further in have had their say.
   * `whole` is the length of the body in bytes, if the app gives all of it at once. The tap writes the head, now or
   * later, by `outlet.writeHead`.
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
}

/** The response as it is further out. Does nothing once somebody further out has put another answer in its place. */
export interface Outlet {
  writeHead(status: number, reason?: string): void;
  write(chunk: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): boolean;
  end(chunk?: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): void;
  /** Sends the head, if it was written and nothing came after it. */
  flushHeaders(): void;
}

const LINKS = Symbol("express-portico.body-taps");
type Tapped = ServerResponse & { [LINKS]?: Link[] };

/**
 * Puts a tap on the response. Taps stand in the order in which they are put: the last one is nearest to the app.
 * Towards the app the response behaves as without: `headersSent` and `writableEnded` are true once the app has begun
 * and ended, even while the tap holds its answer back.
 */
export function tapBody(res: ServerResponse, make: (outlet: Outlet) => Tap): void {
  const tapped = res as Tapped;
  const link = new Link(tapped);
  tapped[LINKS] ??= [];
  tapped[LINKS].push(link);
  link.install(make(link));
}

/** How many taps are on the response. */
export function tapsOf(res: ServerResponse): number {
  return (res as Tapped)[LINKS]?.length ?? 0;
}

/** Takes the taps nearest to the app off, down to `count`: what they hold is lost, and what they still do is nothing. */
export function dropTaps(res: ServerResponse, count: number): void {
  for (const link of (res as Tapped)[LINKS]?.splice(count) ?? []) link.drop();
}

type Write = (chunk: unknown, encoding?: unknown, callback?: unknown) => boolean;
type End = (chunk?: unknown, encoding?: unknown, callback?: unknown) => ServerResponse;

class Link implements Outlet {
  readonly res: Tapped;
  readonly outerWrite: Write;
  readonly outerEnd: End;
  readonly outerFlush: () => void;
  outerHead!: (status: number, reason: string | undefined) => void;
  tap!: Tap;
  /** The app's head has come. */
  begun = false;
  /** The head has been handed on. */
  headOut = false;
  ended = false;
  dropped = false;
  /** Inside a call further out: what Node then calls on the response is not the app's. */
  passing = 0;
  whole: number | undefined = undefined;

  constructor(res: Tapped) {
    this.res = res;
    this.outerWrite = res.write as Write;
    this.outerEnd = res.end as End;
    this.outerFlush = res.flushHeaders;
  }

  install(tap: Tap): void {
    const { res } = this;
    this.tap = tap;
    this.outerHead = takeHead(res, (status, reason) => this.take(status, reason));
    res.write = ((chunk, encoding, callback) => this.appWrites(chunk, encoding, callback)) as Tapped["write"];
    res.end = ((chunk, encoding, callback) => this.appEnds(chunk, encoding, callback)) as Tapped["end"];
    res.flushHeaders = () => this.appFlushes();
  }

  // Towards the app.

  take(status: number, reason: string | undefined): void {
    if (this.passing > 0 || this.dropped) {
      this.outerHead(status, reason);
      return;
    }
    if (this.begun) throw headersSent();
    this.begun = true;
    try {
      this.tap.head(status, reason, this.whole);
    } catch (error) {
      this.begun = this.headOut; // a head that Node refused can be mended, and written again
      throw error;
    }
    if (!this.headOut && !this.dropped) pretend(this.res, "headersSent");
  }

  begin(): void {
    if (!this.begun) this.res.writeHead(this.res.statusCode); // by way of all who stand further in
  }

  appWrites(chunk: unknown, encoding: unknown, callback: unknown): boolean {
    const { res } = this;
    if (this.isOpen(chunk)) {
      const done = functionOf(encoding) ?? functionOf(callback);
      if (this.ended) {
        writeAfterEnd(res, done);
        return false;
      }
      this.begin();
      return this.tap.write(chunk as Chunk, encodingOf(encoding), done);
    }
    return this.outerWrite.call(res, chunk, encoding, callback);
  }

  appEnds(chunk: unknown, encoding: unknown, callback: unknown): ServerResponse {
    const { res } = this;
    const done = functionOf(chunk) ?? functionOf(encoding) ?? functionOf(callback);
    const last = typeof chunk === "function" || chunk === null ? undefined : chunk;
    if (last === undefined ? this.isOpen("") : this.isOpen(last)) {
      if (this.ended) {
        if (last !== undefined) writeAfterEnd(res, done);
        else if (done !== undefined) res.once("finish", done);
        return res;
      }
      if (!this.begun) this.whole = last === undefined ? 0 : byteLength(last as Chunk, encodingOf(encoding));
      this.begin();
      this.ended = true;
      this.tap.end(last as Chunk | undefined, encodingOf(encoding), done);
      if (!res.writableEnded && !this.dropped) pretend(res, "writableEnded");
      return res;
    }
    return this.outerEnd.call(res, chunk, encoding, callback);
  }

  appFlushes(): void {
    if (this.passing > 0 || this.dropped) this.outerFlush.call(this.res);
    else {
      this.begin();
      this.tap.flush();
    }
  }

  /** Whether it is the tap's: Node itself refuses what is no chunk, and what comes after its own end. */
  isOpen(chunk: unknown): boolean {
    if (this.passing > 0 || this.dropped) return false;
    if (typeof chunk !== "string" && !(chunk instanceof Uint8Array)) return false;
    return !this.res.finished;
  }

  // Outwards.

  writeHead(status: number, reason?: string): void {
    if (this.isGone()) return;
    unpretend(this.res, "headersSent");
    this.pass(() => this.outerHead(status, reason));
    this.headOut = true;
  }

  write(chunk: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): boolean {
    if (this.isGone(callback)) return true;
    return this.pass(() => this.outerWrite.call(this.res, chunk, encoding, callback));
  }

  end(chunk?: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): void {
    if (this.isGone(callback)) return;
    unpretend(this.res, "writableEnded");
    this.pass(() => this.outerEnd.call(this.res, chunk, encoding, callback));
  }

  flushHeaders(): void {
    if (!this.isGone()) this.pass(() => this.outerFlush.call(this.res));
  }

  isGone(callback?: WriteCallback): boolean {
    const gone = this.dropped || this.res.finished;
    if (gone && callback !== undefined) process.nextTick(callback, lost());
    return gone;
  }

  pass<T>(call: () => T): T {
    this.passing++;
    try {
      return call();
    } finally {
      this.passing--;
    }
  }

  drop(): void {
    this.dropped = true;
    unpretend(this.res, "headersSent");
    unpretend(this.res, "writableEnded");
  }
}

type Pretended = "headersSent" | "writableEnded";

function pretend(res: ServerResponse, name: Pretended): void {
  Object.defineProperty(res, name, { value: true, configurable: true });
}

/** A tap further out that holds the same back pretends it anew. */
function unpretend(res: ServerResponse, name: Pretended): void {
  if (Object.hasOwn(res, name)) delete (res as Partial<Record<Pretended, boolean>>)[name];
}

function byteLength(chunk: Chunk, encoding: BufferEncoding | undefined): number {
  return typeof chunk === "string" ? Buffer.byteLength(chunk, encoding) : chunk.byteLength;
}

function functionOf(value: unknown): WriteCallback | undefined {
  return typeof value === "function" ? (value as WriteCallback) : undefined;
}

function encodingOf(value: unknown): BufferEncoding | undefined {
  return typeof value === "string" ? (value as BufferEncoding) : undefined;
}

// As Node puts it.

function headersSent(): Error {
  return withCode(
    new Error("Cannot write headers after they are sent to the client"),
    "ERR_HTTP_HEADERS_SENT",
  );
}

function writeAfterEnd(res: ServerResponse, callback: WriteCallback | undefined): void {
  const error = withCode(new Error("write after end"), "ERR_STREAM_WRITE_AFTER_END");
  process.nextTick(() => {
    callback?.(error);
    if (!res.destroyed) res.emit("error", error);
  });
}

function lost(): Error {
  return withCode(new Error("another answer has taken the place of this one"), "ERR_STREAM_DESTROYED");
}

function withCode(error: Error, code: string): Error {
  return Object.assign(error, { code });
}
