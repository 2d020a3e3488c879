import type { Request, Response } from "express";
import { onEnd } from "../lib/response/end-hooks.js";
import type { Chunk, Interceptor, Outer, WriteCallback } from "../lib/response/interceptor.js";
import { isEventStream, negotiate } from "./negotiate.js";
import type { CompressPlan } from "./options.js";
import { EncodableResponse, removeUnknown } from "./response.js";
import { PauseDetector, StreamedBody } from "./stream.js";
import { encodeNow, MAX_SYNC_SIZE, syncEncoder, WholeBody } from "./whole-body.js";

/** Shared and never written to. */
const NOTHING: never[] = [];

/** The interceptor: sends a body as it is, encodes it as a whole, or encodes it as a stream. */
export class Body implements Interceptor {
  /** Set when the response has begun and may be encoded. */
  private response: EncodableResponse | undefined;
  private isHead = false;
  /** The body is an event stream: each write is sent at once. */
  private isLive = false;
  /** The Content-Length that the app has set. */
  private declared: number | undefined;
  /** The chunks written before the decision, their size, and the most bytes to hold. */
  private held: Uint8Array[] = NOTHING;
  private heldBytes = 0;
  private maxHeld = 0;
  private streamed: StreamedBody | undefined;
  private whole: WholeBody | undefined;
  private pause: PauseDetector | undefined;
  /** The body that `res.send` was given for a HEAD request: Express does not pass it to `res.end`. */
  headBody: Uint8Array | undefined;
  private hasEnded = false;
  private isWatched = false;

  constructor(
    /** The plan of the innermost `compress`. */
    public plan: CompressPlan,
    private readonly req: Request,
    private readonly res: Response,
    private readonly outer: Outer,
  ) {}

  onHead(status: number, reason: string | undefined, whole: number | undefined): void {
    const { plan, req, res, outer } = this;
    this.response = undefined;
    this.held = NOTHING;
    this.heldBytes = 0;
    this.hasEnded = false;
    const encoding = negotiate(plan, req, res, status);
    if (encoding === undefined) {
      outer.stepAside(status, reason);
      return;
    }
    const response = new EncodableResponse(plan, req, res, outer, encoding, status, reason);
    this.declared = lengthOf(res);
    this.isHead = req.method === "HEAD";
    const body = this.headBody?.length ?? whole;
    const length = this.isHead ? body || this.declared : (body ?? this.declared);
    const isKnown = length !== undefined && this.isDeclared(length);
    const isEmptyHead = this.isHead && body === 0;
    if (isEmptyHead && !(isKnown && !response.isWorthEncoding(length))) removeUnknown(res);
    if (
      isEmptyHead ||
      (isKnown && !response.isWorthEncoding(length) && (!this.isHead || body === undefined))
    ) {
      outer.stepAside(status, reason);
      return;
    }
    this.response = response;
    this.isLive = isEventStream(String(res.getHeader("content-type")));
    if (this.isLive) this.maxHeld = -1;
    // Wait for a small body with a known length and encode it synchronously.
    else this.maxHeld = isKnown && length <= MAX_SYNC_SIZE ? length : plan.threshold - 1;
  }

  onData(chunk: Chunk, encoding: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean {
    const bytes = bytesOf(chunk, encoding);
    if (this.streamed !== undefined) return this.streamed.write(bytes, callback);
    this.heldBytes += bytes.length;
    if (this.heldBytes > this.maxHeld) return this.start().write(bytes, callback);
    if (this.held === NOTHING) this.held = [];
    this.held.push(typeof chunk === "string" ? bytes : Buffer.from(bytes)); // the app may reuse its buffer
    this.pauses()?.touch();
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }

  onEnd(
    chunk: Chunk | undefined,
    encoding: BufferEncoding | undefined,
    callback: WriteCallback | undefined,
  ): void {
    const last = chunk === undefined ? this.headBody : bytesOf(chunk, encoding);
    this.hasEnded = true;
    this.pause?.end();
    if (this.streamed !== undefined) this.streamed.end(last, callback);
    else if (this.held.length > 0)
      this.settle(Buffer.concat(last === undefined ? this.held : [...this.held, last]), callback);
    else if (this.isHead && last === undefined) this.response!.sendUnknown(callback);
    else this.settle(last ?? EMPTY, callback);
  }

  onFlush(): void {
    if (this.response === undefined || this.hasEnded) return;
    if (this.streamed !== undefined) {
      this.streamed.flush();
    } else {
      const isEmpty = this.heldBytes === 0;
      this.start().flush();
      if (isEmpty) this.outer.flushHeaders();
    }
  }

  onDrain(): void {
    (this.streamed ?? this.whole)?.resume();
  }

  discard(): void {
    this.pause?.end();
    (this.streamed ?? this.whole)?.close();
  }

  /** Sends the head and passes the held chunks to the encoder. */
  private start(): StreamedBody {
    const declared = this.isHead ? undefined : this.declared; // an answer to HEAD needs no body
    const pause = this.isLive ? undefined : this.pauses();
    const streamed = new StreamedBody(this.response!, this.isLive, declared, pause);
    this.streamed = streamed;
    this.watch();
    for (const bytes of this.held) streamed.write(bytes, undefined);
    this.held = NOTHING;
    return streamed;
  }

  private pauses(): PauseDetector | undefined {
    if (this.plan.flushes) this.pause ??= new PauseDetector(() => this.atPause());
    return this.pause;
  }

  /** The handler waits for something, so the client gets what was written so far. */
  private atPause(): void {
    if (this.hasEnded || this.res.destroyed) return;
    if (this.streamed !== undefined) this.streamed.atPause();
    else if (this.heldBytes !== this.declared) this.attemptFlush(); // if they are equal, only the end is missing
  }

  /** The app's own call has returned, so an error of Node's must be handled here. */
  private attemptFlush(): void {
    const response = this.response!;
    try {
      this.onFlush();
    } catch (error) {
      response.truncate(error, "compress: the response could not be sent, and was truncated");
    }
  }

  private settle(bytes: Uint8Array, callback: WriteCallback | undefined): void {
    const response = this.response!;
    const isEncoded = this.isDeclared(bytes.length) && response.isWorthEncoding(bytes.length);
    const encodeSync = syncEncoder(response, bytes.length);
    if (isEncoded && encodeSync === undefined) {
      this.whole = new WholeBody(response, bytes, callback);
      this.watch();
      return;
    }
    const encoded = isEncoded ? encodeNow(response, bytes, encodeSync!) : undefined;
    if (encoded === undefined) response.sendPlain(bytes, callback);
    else response.sendEncoded(encoded, callback);
  }

  /** Whether the app's Content-Length is this length, or missing. If not, the response is sent as it is. */
  private isDeclared(length: number): boolean {
    return this.declared === undefined || this.declared === length;
  }

  /** Frees the encoder's memory at the end of the response. */
  private watch(): void {
    if (this.isWatched) return;
    this.isWatched = true;
    onEnd(this.req, this.res, close, this);
  }
}

const EMPTY = new Uint8Array(0);

function close(_res: unknown, body: Body): void {
  body.discard();
}

function bytesOf(chunk: Chunk, encoding: BufferEncoding | undefined): Uint8Array {
  return typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
}

function lengthOf(res: Response): number | undefined {
  const value = res.getHeader("content-length");
  if (value === undefined) return undefined;
  const length = Number(value);
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined;
}
