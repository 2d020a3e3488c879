import type { ServerResponse } from "node:http";
import { isHeaderValue } from "../http/tokens.js";
import { isHttp2 } from "../request/transport.js";
import type { Chunk, Interceptor, Outer, WriteCallback } from "./interceptor.js";
import { Link } from "./link.js";
import { hold, passDrain, watchDrain } from "./view.js";
import {
  byteLength,
  encodingOf,
  functionOf,
  headersSent,
  isChunk,
  lost,
  setLength,
  uncorkAll,
  writeAfterEnd,
} from "./write.js";

/** A link with an interceptor: the app's calls go to it, and its own calls to the outer side. */
export class InterceptorLink extends Link implements Outer {
  override interceptor: Interceptor | undefined = undefined;
  begun = false;
  headPassedOn = false;
  ended = false;
  waits = false;
  /** Another answer replaces this one. */
  private dropped = false;
  private ending = false;
  /** Over HTTP/2: the end was passed on, but outer code has not ended the response yet. */
  private endKept = false;
  private whole: number | undefined = undefined;
  private outerFlush: () => void = this.res.flushHeaders;

  intercept(interceptor: Interceptor): void {
    this.patchBodyMethods();
    this.res.flushHeaders = this.methods.flushHeaders;
    this.interceptor = interceptor;
  }

  override drop(): void {
    const { interceptor } = this;
    this.interceptor = undefined;
    this.dropped = true;
    interceptor?.discard?.();
  }

  // Calls from inner code.

  override receiveHead(status: number, reason?: unknown, headers?: unknown): ServerResponse {
    if (this.begun && this.interceptor !== undefined && !this.isFromOuter()) throw headersSent("write");
    return super.receiveHead(status, reason, headers);
  }

  protected override passHead(status: number, reason: string | undefined): void {
    const { res, chain, interceptor } = this;
    // Read now: the app may change it before the head is sent.
    const phrase = reason ?? (isHttp2(res.req) ? undefined : res.statusMessage || undefined);
    const isRefused = phrase !== undefined && !isHttp2(res.req) && !isHeaderValue(phrase);
    if (interceptor === undefined || this.isFromOuter() || isRefused) {
      super.passHead(status, reason); // if it is refused, Node throws while the app can still correct it
      return;
    }
    this.begun = true;
    const before = this.enterOuter();
    try {
      interceptor.onHead(status, phrase, this.whole);
    } catch (error) {
      this.rewind();
      throw error;
    } finally {
      chain.calling = before;
    }
    if (!this.ending && !this.headPassedOn && this.interceptor !== undefined) hold(res);
  }

  private begin(): void {
    if (this.begun) return;
    const { res, chain } = this;
    chain.isBeginning = true;
    try {
      res.writeHead(res.statusCode); // through all inner links
    } finally {
      chain.isBeginning = false;
    }
  }

  /** After Node has refused a head, the app can correct it and write it again. */
  private rewind(): void {
    if (this.headPassedOn) return;
    this.begun = false;
    this.ended = false;
    this.whole = undefined;
  }

  override receiveData(
    chunk: unknown,
    encoding: unknown,
    callback: unknown,
    argumentCount?: number,
  ): boolean {
    if (
      this.endKept &&
      argumentCount === 2 &&
      this.interceptor !== undefined &&
      typeof encoding !== "function"
    )
      return this.passFromNodesEnd(chunk, encoding);
    if (!this.isForInterceptor(chunk)) return super.receiveData(chunk, encoding, callback);
    const done = functionOf(encoding) ?? functionOf(callback);
    if (this.ended) {
      writeAfterEnd(this.res, done);
      return false;
    }
    this.begin();
    const { interceptor } = this;
    if (interceptor === undefined) return super.receiveData(chunk, encoding, callback);
    const more = interceptor.onData(chunk as Chunk, encodingOf(encoding), done);
    this.writes++;
    if (!more && this.interceptor?.onDrain !== undefined) {
      this.waits = true;
      watchDrain(this.res);
    }
    return more;
  }

  /**
   * On HTTP/2 Node's `end(chunk)` calls `res.write(chunk, encoding)`. If outer code calls Node's `end` late, that `write` is
   * recognised by its two arguments.
   */
  private passFromNodesEnd(chunk: unknown, encoding: unknown): boolean {
    const before = this.enterOuter();
    try {
      return this.outerWrite!.call(this.res, chunk, encoding);
    } finally {
      this.chain.calling = before;
    }
  }

  override receiveEnd(chunk: unknown, encoding: unknown, callback: unknown): ServerResponse {
    const { res } = this;
    // As Node takes it: an empty string is no chunk either.
    const last = typeof chunk === "function" || !chunk ? undefined : chunk;
    if (!this.isForInterceptor(last ?? "")) return super.receiveEnd(chunk, encoding, callback);
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
      const { interceptor } = this;
      if (interceptor === undefined) return super.receiveEnd(chunk, encoding, callback);
      uncorkAll(res); // Node's `end`, which does it, is called later
      this.ended = true;
      interceptor.onEnd(last as Chunk | undefined, encodingOf(encoding), done);
    } catch (error) {
      this.rewind();
      throw error;
    } finally {
      this.ending = false;
    }
    this.writes++;
    if (!this.headPassedOn || !res.finished) hold(res);
    return res;
  }

  override receiveFlush(): void {
    const { res } = this;
    const takesFlush = () => this.interceptor !== undefined && !this.isFromOuter() && !res.destroyed;
    if (takesFlush()) this.begin();
    if (takesFlush()) this.interceptor!.onFlush();
    else this.outerFlush.call(res);
  }

  /** Whether a call goes to the interceptor, or to Node: what Node throws for, and all after other code has written the head. */
  private isForInterceptor(chunk: unknown): boolean {
    const { res } = this;
    if (this.interceptor === undefined || this.isFromOuter() || !isChunk(chunk)) return false;
    if (!this.begun && res.headersSent) this.interceptor = undefined; // other code has written the head
    return this.interceptor !== undefined && !res.finished && !res.destroyed;
  }

  // Calls from the interceptor.

  writeHead(status: number, reason?: string, prepare?: () => void): void {
    if (this.isGone()) return;
    const before = this.enterOuter();
    try {
      prepare?.();
      super.passHead(status, reason);
    } finally {
      this.chain.calling = before;
    }
    this.headPassedOn = true;
  }

  write(chunk: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): boolean {
    if (this.isGone(callback)) return true;
    // Without a socket it can be undefined; only `false` asks to wait.
    const more = super.receiveData(chunk, encoding, callback) !== false;
    if (!more && this.interceptor?.onDrain !== undefined) watchDrain(this.res);
    return more;
  }

  end(chunk?: Chunk, encoding?: BufferEncoding, callback?: WriteCallback): void {
    if (this.isGone(callback)) return;
    const { res, chain, outer, outerEnd } = this;
    const before = this.enterOuter();
    try {
      if (outerEnd === outer?.methods.end) outer!.receiveEnd(chunk, encoding, callback);
      else outerEnd!.call(res, chunk, encoding, callback);
    } finally {
      chain.calling = before;
    }
    this.endKept = !res.finished && isHttp2(res.req);
  }

  flushHeaders(): void {
    if (this.isGone()) return;
    const before = this.enterOuter();
    try {
      this.outerFlush.call(this.res);
    } finally {
      this.chain.calling = before;
    }
  }

  drain(): void {
    if (this.dropped || !this.waits) return;
    this.waits = false;
    passDrain(this.res, this.level);
  }

  stepAside(status: number, reason?: string): void {
    if (this.isGone()) return;
    const { interceptor } = this;
    setLength(this.res, status, this.whole);
    this.interceptor = undefined;
    this.headPassedOn = true;
    try {
      super.passHead(status, reason);
    } catch (error) {
      this.interceptor = interceptor; // Node refused the head: the app can correct it
      this.headPassedOn = false;
      throw error;
    }
  }

  private isGone(callback?: WriteCallback): boolean {
    const gone = this.dropped || this.res.finished;
    if (gone && callback !== undefined) process.nextTick(callback, lost());
    return gone;
  }
}
