import type { ServerResponse } from "node:http";
import { isHeaderValue } from "../http/tokens.js";
import { isHttp2 } from "../request/transport.js";
import { hold, passDrain, watchDrain } from "./buffered-view.js";
import { uncorkAll } from "./close.js";
import { takeHead } from "./head-hooks.js";
import {
  type Intercepted as AnyIntercepted,
  type Chunk,
  INTERCEPTORS,
  type Interceptor,
  type Outer,
  type Slot,
  type WriteCallback,
} from "./interceptor.js";
import { byteLength, encodingOf, functionOf, headersSent, lost, setLength, writeAfterEnd } from "./write.js";

/** A response and its innermost interceptor. */
export type Intercepted = AnyIntercepted<InterceptorSlot>;
type Write = (chunk: unknown, encoding?: unknown, callback?: unknown) => boolean;
type End = (chunk?: unknown, encoding?: unknown, callback?: unknown) => ServerResponse;

/** A tap's place on a response: what the app calls comes in, what the tap makes of it goes out. */
export class InterceptorSlot implements Outer, Slot {
  /** The next one further out. They are a chain, for V8 may put lists that are made here where they outlive their use. */
  readonly outer: InterceptorSlot | undefined;
  interceptor!: Interceptor;
  /** The app's head has come. */
  begun = false;
  /** The head has been handed on. */
  headOut = false;
  ended = false;
  /** Dropped, or stepped aside. */
  out = false;
  /** The app has been told to wait. */
  waits = false;
  /** Inside a call further out: what Node then calls on the response is not the app's. */
  passing = 0;
  /** Inside a call for the app's head. */
  beginning = false;
  /** The tap is being given the head. */
  heading = false;
  private dropped = false;
  private ending = false;
  /** The end was handed on, and somebody further out keeps it. */
  private endKept = false;
  private whole: number | undefined = undefined;
  private outerHead!: (status: number, reason: string | undefined) => void;
  private readonly outerWrite: Write;
  private readonly outerEnd: End;
  private readonly outerFlush: () => void;

  constructor(readonly res: Intercepted) {
    this.outer = res[INTERCEPTORS];
    this.outerWrite = res.write as Write;
    this.outerEnd = res.end as End;
    this.outerFlush = res.flushHeaders;
  }

  install(interceptor: Interceptor): void {
    const { res } = this;
    this.interceptor = interceptor;
    this.outerHead = takeHead(res, (status, reason) => this.take(status, reason));
    res.write = ((chunk, encoding, callback) =>
      this.appWrites(chunk, encoding, callback)) as Intercepted["write"];
    if (isHttp2(res.req)) res.write = ((...args) => this.writtenOnHttp2(args)) as Intercepted["write"];
    res.end = ((chunk, encoding, callback) => this.appEnds(chunk, encoding, callback)) as Intercepted["end"];
    res.flushHeaders = () => this.appFlushes();
  }

  drop(): void {
    this.out = this.dropped = true;
    this.interceptor.drop?.();
  }

  // Towards the app.

  private take(status: number, reason: string | undefined): void {
    if (this.out || this.isFromOutside()) {
      this.outerHead(status, reason);
      return;
    }
    if (this.begun) throw headersSent("write");
    const phrase = this.phrase(reason);
    if (this.res.headersSent || this.isBad(phrase)) {
      this.outerHead(status, reason); // Node refuses it while there is somebody to mend it
      return;
    }
    this.begun = this.heading = true;
    try {
      this.interceptor.head(status, phrase, this.whole);
    } catch (error) {
      this.rewind();
      throw error;
    } finally {
      this.heading = false;
    }
    if (!this.ending && !this.headOut && !this.out) hold(this.res);
  }

  private begin(): void {
    if (this.begun) return;
    this.beginning = true;
    try {
      this.res.writeHead(this.res.statusCode); // by way of all who stand further in
    } finally {
      this.beginning = false;
    }
  }

  /** As it is now: the app may change it while the head is kept. */
  private phrase(reason: string | undefined): string | undefined {
    return reason ?? (!isHttp2(this.res.req) ? this.res.statusMessage || undefined : undefined);
  }

  private isBad(phrase: string | undefined): boolean {
    return !!phrase && !isHttp2(this.res.req) && !isHeaderValue(phrase);
  }

  /** A head that Node has refused can be mended, and written again. */
  private rewind(): void {
    if (this.headOut) return;
    this.begun = false;
    this.ended = false;
    this.whole = undefined;
  }

  private appWrites(chunk: unknown, encoding: unknown, callback: unknown): boolean {
    const { res } = this;
    if (this.isOpen(chunk)) {
      const done = functionOf(encoding) ?? functionOf(callback);
      if (this.ended) {
        writeAfterEnd(res, done);
        return false;
      }
      this.begin();
      if (!this.out) return this.hear(this.interceptor.write(chunk as Chunk, encodingOf(encoding), done));
    }
    return this.plainly(this.outerWrite, chunk, encoding, callback);
  }

  /**
   * On HTTP/2 Node's `end(chunk)` calls `res.write(chunk, encoding)`. If it is called late, by whoever has kept it, this
   * is the only sign.
   */
  private writtenOnHttp2(args: readonly unknown[]): boolean {
    const [chunk, encoding, callback] = args;
    const isNodes = this.endKept && args.length === 2 && typeof encoding !== "function";
    if (isNodes && !this.out) return this.plainly(this.outerWrite, chunk, encoding);
    return this.appWrites(chunk, encoding, callback);
  }

  private hear(more: boolean): boolean {
    if (!more && !this.out && this.interceptor.drain !== undefined) {
      this.waits = true;
      watchDrain(this.res);
    }
    return more;
  }

  private appEnds(chunk: unknown, encoding: unknown, callback: unknown): ServerResponse {
    const { res } = this;
    // As Node takes it: an empty string is no chunk either.
    const last = typeof chunk === "function" || !chunk ? undefined : chunk;
    if (!this.isOpen(last ?? "")) return this.plainly(this.outerEnd, chunk, encoding, callback);
    const done = functionOf(chunk) ?? functionOf(encoding) ?? functionOf(callback);
    if (this.ended) {
      if (last !== undefined) writeAfterEnd(res, done);
      else if (done !== undefined) res.once("finish", done);
      return res;
    }
    if (!this.begun) this.whole = last === undefined ? 0 : byteLength(last as Chunk, encodingOf(encoding));
    this.ending = true;
    try {
      this.begin();
      if (this.out) return this.outerEnd.call(res, chunk, encoding, callback);
      uncorkAll(res); // Node's own end comes later
      this.ended = true;
      this.interceptor.end(last as Chunk | undefined, encodingOf(encoding), done);
    } catch (error) {
      this.rewind();
      throw error;
    } finally {
      this.ending = false;
    }
    if (!this.headOut || !res.finished) hold(res);
    return res;
  }

  private appFlushes(): void {
    if (!this.out && !this.isFromOutside() && !this.res.destroyed) {
      this.begin();
      if (!this.out) {
        this.interceptor.flush();
        return;
      }
    }
    this.outerFlush.call(this.res);
  }

  /**
   * Whether this call is made by whoever a tap has called, here or further out: Node's methods call one another by way
   * of the response (on HTTP/2 `end` writes by `write`), and so come by all taps again.
   */
  private isFromOutside(): boolean {
    for (let slot: InterceptorSlot | undefined = this; slot !== undefined; slot = slot.outer) {
      if (slot.passing > 0) return true;
    }
    return false;
  }

  /** Whether it is the tap's: Node itself refuses what is no chunk, and what comes after its own end. */
  private isOpen(chunk: unknown): boolean {
    if (this.out || this.isFromOutside()) return false;
    if (typeof chunk !== "string" && !(chunk instanceof Uint8Array)) return false;
    if (!this.begun && this.res.headersSent) this.out = true; // somebody has gone past
    return !this.out && !this.res.finished && !this.res.destroyed;
  }

  /** Not the tap's: whatever Node still does with it, a head it writes on the way is not the app's either. */
  private plainly<T>(method: (...values: unknown[]) => T, ...values: unknown[]): T {
    this.passing++;
    try {
      return method.apply(this.res, values);
    } finally {
      this.passing--;
    }
  }

  // Outwards.

  writeHead(status: number, reason?: string, prepare?: () => void): void {
    if (this.isGone()) return;
    this.passing++;
    try {
      prepare?.();
      this.outerHead(status, reason);
    } finally {
      this.passing--;
    }
    this.headOut = true;
  }

  write(chunk: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): boolean {
    if (this.isGone(callback)) return true;
    this.passing++;
    try {
      // Only `false` asks to wait: where there is no socket, it can be undefined.
      const more = this.outerWrite.call(this.res, chunk, encoding, callback) !== false;
      if (!more && this.interceptor.drain !== undefined) watchDrain(this.res);
      return more;
    } finally {
      this.passing--;
    }
  }

  end(chunk?: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): void {
    if (this.isGone(callback)) return;
    this.passing++;
    try {
      this.outerEnd.call(this.res, chunk, encoding, callback);
    } finally {
      this.passing--;
    }
    this.endKept = !this.res.finished;
  }

  flushHeaders(): void {
    if (this.isGone()) return;
    this.passing++;
    try {
      this.outerFlush.call(this.res);
    } finally {
      this.passing--;
    }
  }

  drain(): void {
    if (this.dropped || !this.waits) return;
    this.waits = false;
    passDrain(this.res, this);
  }

  stepAside(status: number, reason?: string): void {
    if (this.isGone()) return;
    setLength(this.res, status, this.whole);
    this.out = true;
    this.headOut = true; // what Node refuses now, it refuses to the app
    try {
      this.outerHead(status, reason);
    } catch (error) {
      this.out = this.headOut = false;
      throw error;
    }
  }

  private isGone(callback?: WriteCallback): boolean {
    const gone = this.dropped || this.res.finished;
    if (gone && callback !== undefined) process.nextTick(callback, lost());
    return gone;
  }
}
