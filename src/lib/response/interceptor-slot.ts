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

/** An interceptor's place on a response: the app's calls come in, the interceptor's calls go out. */
export class InterceptorSlot implements Outer, Slot {
  readonly outer: InterceptorSlot | undefined;
  interceptor!: Interceptor;
  begun = false;
  headPassedOn = false;
  ended = false;
  isInactive = false;
  waits = false;
  passing = 0;
  /** `res.writeHead` is being called for the app. */
  beginning = false;
  heading = false;
  private dropped = false;
  private ending = false;
  /** The end was passed on, but outer code has not ended the response yet. */
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
    if (isHttp2(res.req)) res.write = ((...args) => this.onHttp2Write(args)) as Intercepted["write"];
    res.end = ((chunk, encoding, callback) => this.appEnds(chunk, encoding, callback)) as Intercepted["end"];
    res.flushHeaders = () => this.appFlushes();
  }

  drop(): void {
    this.isInactive = this.dropped = true;
    this.interceptor.drop?.();
  }

  // Calls from the app.

  private take(status: number, reason: string | undefined): void {
    if (this.isInactive || this.isFromOuter()) {
      this.outerHead(status, reason);
      return;
    }
    if (this.begun) throw headersSent("write");
    const phrase = this.phrase(reason);
    if (this.res.headersSent || this.isBad(phrase)) {
      this.outerHead(status, reason); // Node throws while the app can still correct it
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
    if (!this.ending && !this.headPassedOn && !this.isInactive) hold(this.res);
  }

  private begin(): void {
    if (this.begun) return;
    this.beginning = true;
    try {
      this.res.writeHead(this.res.statusCode); // through all inner interceptors and hooks
    } finally {
      this.beginning = false;
    }
  }

  /** Read now: the app may change it before the head is sent. */
  private phrase(reason: string | undefined): string | undefined {
    return reason ?? (!isHttp2(this.res.req) ? this.res.statusMessage || undefined : undefined);
  }

  private isBad(phrase: string | undefined): boolean {
    return !!phrase && !isHttp2(this.res.req) && !isHeaderValue(phrase);
  }

  /** After Node has refused a head, the app can correct it and write it again. */
  private rewind(): void {
    if (this.headPassedOn) return;
    this.begun = false;
    this.ended = false;
    this.whole = undefined;
  }

  private appWrites(chunk: unknown, encoding: unknown, callback: unknown): boolean {
    const { res } = this;
    if (this.isForInterceptor(chunk)) {
      const done = functionOf(encoding) ?? functionOf(callback);
      if (this.ended) {
        writeAfterEnd(res, done);
        return false;
      }
      this.begin();
      if (!this.isInactive)
        return this.hear(this.interceptor.write(chunk as Chunk, encodingOf(encoding), done));
    }
    return this.callOuter(this.outerWrite, chunk, encoding, callback);
  }

  /**
   * On HTTP/2 Node's `end(chunk)` calls `res.write(chunk, encoding)`. If outer code delays its `end`, this call comes later: it is
   * recognized by its two arguments.
   */
  private onHttp2Write(args: readonly unknown[]): boolean {
    const [chunk, encoding, callback] = args;
    const isFromNodesEnd = this.endKept && args.length === 2 && typeof encoding !== "function";
    if (isFromNodesEnd && !this.isInactive) return this.callOuter(this.outerWrite, chunk, encoding);
    return this.appWrites(chunk, encoding, callback);
  }

  private hear(more: boolean): boolean {
    if (!more && !this.isInactive && this.interceptor.drain !== undefined) {
      this.waits = true;
      watchDrain(this.res);
    }
    return more;
  }

  private appEnds(chunk: unknown, encoding: unknown, callback: unknown): ServerResponse {
    const { res } = this;
    // As Node takes it: an empty string is no chunk either.
    const last = typeof chunk === "function" || !chunk ? undefined : chunk;
    if (!this.isForInterceptor(last ?? "")) return this.callOuter(this.outerEnd, chunk, encoding, callback);
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
      if (this.isInactive) return this.outerEnd.call(res, chunk, encoding, callback);
      uncorkAll(res); // Node's `end`, which does it, is called later
      this.ended = true;
      this.interceptor.end(last as Chunk | undefined, encodingOf(encoding), done);
    } catch (error) {
      this.rewind();
      throw error;
    } finally {
      this.ending = false;
    }
    if (!this.headPassedOn || !res.finished) hold(res);
    return res;
  }

  private appFlushes(): void {
    if (!this.isInactive && !this.isFromOuter() && !this.res.destroyed) {
      this.begin();
      if (!this.isInactive) {
        this.interceptor.flush();
        return;
      }
    }
    this.outerFlush.call(this.res);
  }

  /**
   * Whether this call is made during a call to the outer side, by this interceptor or an outer one: Node's methods call one
   * another on the response (on HTTP/2 `end` calls `write`), and those calls enter all interceptors again.
   */
  private isFromOuter(): boolean {
    for (let slot: InterceptorSlot | undefined = this; slot !== undefined; slot = slot.outer) {
      if (slot.passing > 0) return true;
    }
    return false;
  }

  /** Whether this call goes to the interceptor. A call with an invalid chunk, or after the end, goes to Node, which refuses it. */
  private isForInterceptor(chunk: unknown): boolean {
    if (this.isInactive || this.isFromOuter()) return false;
    if (typeof chunk !== "string" && !(chunk instanceof Uint8Array)) return false;
    if (!this.begun && this.res.headersSent) this.isInactive = true; // other code has written the head
    return !this.isInactive && !this.res.finished && !this.res.destroyed;
  }

  /** Calls an outer method without the interceptor; if Node writes the head meanwhile, the interceptor does not get that head. */
  private callOuter<T>(method: (...values: unknown[]) => T, ...values: unknown[]): T {
    this.passing++;
    try {
      return method.apply(this.res, values);
    } finally {
      this.passing--;
    }
  }

  // Calls from the interceptor.

  writeHead(status: number, reason?: string, prepare?: () => void): void {
    if (this.isGone()) return;
    this.passing++;
    try {
      prepare?.();
      this.outerHead(status, reason);
    } finally {
      this.passing--;
    }
    this.headPassedOn = true;
  }

  write(chunk: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): boolean {
    if (this.isGone(callback)) return true;
    this.passing++;
    try {
      // Without a socket it can be undefined; only `false` asks to wait.
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
    this.isInactive = true;
    this.headPassedOn = true; // if Node refuses the head, it is the app's
    try {
      this.outerHead(status, reason);
    } catch (error) {
      this.isInactive = this.headPassedOn = false;
      throw error;
    }
  }

  private isGone(callback?: WriteCallback): boolean {
    const gone = this.dropped || this.res.finished;
    if (gone && callback !== undefined) process.nextTick(callback, lost());
    return gone;
  }
}
