import type { Request, Response } from "express";
import type { Chunk, Outlet, Tap, WriteCallback } from "../http/body-tap.js";
import { truncate } from "../http/connection.js";
import { factsOf } from "../http/facts.js";
import { onEnd } from "../http/response-hooks.js";
import { Coder, type Sink } from "./coder.js";
import type { Coding } from "./codings.js";
import { decide } from "./decide.js";
import { describeCoded } from "./headers.js";
import { drawJitter, withJitter } from "./jitter.js";
import type { CompressPlan } from "./options.js";
import { reportFault } from "./report.js";
import { isEventStream } from "./types.js";

/** Up to this many bytes, a body is coded on the spot: to set up a stream and a thread's turn takes longer. */
const ON_THE_SPOT = 16_384;

/** Of a body that is there whole, so much is kept coded before its head is sent: most have a length then. */
const MAX_COLLECTED = 1_048_576;

/** An encoder keeps some of what it has consumed to itself; Brotli, of bytes that hardly shrink, up to a MiB. */
const MAX_LAG = 1_048_576;

/** By this much, for its head to be sent before all of it is coded. */
const SHRINKS = 0.75;

/** One response's body, coded if it may be and if it pays. */
export class Body implements Tap, Sink {
  /** The app has begun, and this has a part in it. */
  private active = false;
  private coding!: Coding;
  private status = 200;
  private reason: string | undefined;
  /** The Content-Length that the app has given. */
  private declared: number | undefined;
  private isHead = false;
  /** Every write is wanted on the wire at once. */
  private isLive = false;
  /** The bytes before the decision, how many, and how many there may be. */
  private held: Uint8Array[] = NO_PARTS;
  private heldBytes = 0;
  private maxHeld = 0;
  private coder: Coder | undefined;
  private watched = false;
  /** Bytes that the app has given to the coder. */
  private written = 0;
  /** The body that is being coded before its head is sent, and its coded parts. */
  private whole: Uint8Array | undefined;
  private parts: Buffer[] = NO_PARTS;
  private partsBytes = 0;
  private ended: WriteCallback | undefined;

  constructor(
    /** Of two mounts, the later one's. */
    public plan: CompressPlan,
    private readonly req: Request,
    private readonly res: Response,
    private readonly outlet: Outlet,
  ) {}

  head(status: number, reason: string | undefined, whole: number | undefined): void {
    const { plan, req, res } = this;
    this.status = status;
    this.reason = reason;
    this.held = NO_PARTS;
    this.heldBytes = 0;
    this.active = false;
    const coding = decide(plan, req, res, status);
    if (coding === undefined) {
      this.outlet.stepAside(status, reason);
      return;
    }
    this.coding = coding;
    this.declared = lengthOf(res);
    this.isHead = req.method === "HEAD";
    const length = this.isHead
      ? whole || this.declared
      : whole === undefined
        ? this.declared
        : this.agreed(whole);
    if (this.isHead && (whole !== undefined || length !== undefined)) {
      if (length !== undefined && this.pays(length)) describeCoded(res, coding.encoding, undefined);
      this.outlet.stepAside(status, reason);
    } else if (length !== undefined && !this.pays(length)) {
      this.outlet.stepAside(status, reason);
    } else {
      this.isLive = isEventStream(String(res.getHeader("content-type")));
      // What will be small and whole is waited for, and coded on the spot.
      this.maxHeld = length !== undefined && length <= ON_THE_SPOT ? length : plan.threshold - 1;
      if (this.isLive) this.maxHeld = -1;
      this.active = true;
    }
  }

  write(chunk: Chunk, encoding: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean {
    const bytes = bytesOf(chunk, encoding);
    if (this.coder !== undefined) return this.feed(bytes, callback);
    this.heldBytes += bytes.length;
    if (this.isHead) {
      if (callback !== undefined) process.nextTick(callback);
      return true;
    }
    if (this.heldBytes > this.maxHeld) {
      this.start();
      return this.feed(bytes, callback);
    }
    if (this.held === NO_PARTS) this.held = [];
    this.held.push(typeof chunk === "string" ? bytes : Buffer.from(bytes)); // a copy: the app may use its buffer again
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }

  end(
    chunk: Chunk | undefined,
    encoding: BufferEncoding | undefined,
    callback: WriteCallback | undefined,
  ): void {
    const last = chunk === undefined ? undefined : bytesOf(chunk, encoding);
    this.ended = callback;
    if (this.coder !== undefined) this.finish(last);
    else if (this.isHead) this.endHead(this.heldBytes + (last?.length ?? 0));
    else if (last === undefined && this.held.length === 0) this.plain(NOTHING);
    else if (this.held.length === 0) this.settle(last!);
    else this.settle(Buffer.concat(last === undefined ? this.held : [...this.held, last]));
  }

  flush(): void {
    if (!this.active || this.whole !== undefined || this.res.writableEnded) return;
    if (this.isHead) {
      this.active = false;
      this.outlet.writeHead(this.status, this.reason);
      this.outlet.flushHeaders();
    } else if (this.coder === undefined) {
      const isEmpty = this.heldBytes === 0;
      this.start();
      if (isEmpty) this.outlet.flushHeaders();
    }
    this.coder?.flush();
  }

  drain(): void {
    this.coder?.resume();
  }

  drop(): void {
    this.coder?.close();
  }

  // The body comes in parts.

  /** The head is sent, and what was held goes into the coder. */
  private start(): void {
    const coder = this.open();
    try {
      this.writeCodedHead(undefined);
    } catch (error) {
      this.coder = undefined;
      coder.close();
      throw error;
    }
    for (const bytes of this.held) this.feed(bytes, undefined);
    this.held = NO_PARTS;
  }

  private feed(bytes: Uint8Array, callback: WriteCallback | undefined): boolean {
    this.written += bytes.length;
    const more = this.coder!.write(bytes, callback);
    if (this.isLive) this.coder!.flush();
    return more;
  }

  private finish(last: Uint8Array | undefined): void {
    if (last !== undefined) this.feed(last, undefined);
    if (this.declared !== undefined && this.written < this.declared) {
      // Without this, its client would wait for the rest. It must not take the coded body, which has an end, for whole.
      this.cut(
        new Error(`the body has ${this.written} of ${this.declared} bytes`),
        "compress: the response was cut",
      );
    } else {
      this.coder!.end();
    }
  }

  // The body is there whole.

  private settle(bytes: Uint8Array): void {
    const { coding, plan } = this;
    const isOdd = this.agreed(bytes.length) === undefined;
    if (isOdd || !this.pays(bytes.length)) this.plain(bytes);
    else if (
      bytes.length > ON_THE_SPOT ||
      coding.now === undefined ||
      (plan.jitter > 0 && coding.encoding === "br")
    ) {
      this.whole = bytes;
      this.open(bytes.length).end(bytes);
    } else {
      this.codeNow(bytes, coding.now);
    }
  }

  private codeNow(bytes: Uint8Array, now: NonNullable<Coding["now"]>): void {
    const { coding, plan } = this;
    let coded: Buffer | undefined;
    try {
      coded = now(bytes);
      if (plan.jitter > 0) coded = withJitter(coding.encoding, coded, drawJitter(plan.jitter));
    } catch (error) {
      reportFault(this.req, error, "compress: the body could not be coded, and is sent as it is");
    }
    if (coded === undefined || coded.length >= bytes.length) this.plain(bytes);
    else this.send(coded);
  }

  private send(coded: Buffer): void {
    this.writeCodedHead(coded.length);
    this.outlet.end(coded, undefined, this.ended);
  }

  private writeCodedHead(length: number | undefined): void {
    const { outlet, res } = this;
    let isDescribed = false;
    try {
      outlet.writeHead(this.status, this.reason, () => {
        isDescribed = true;
        describeCoded(res, this.coding.encoding, length);
      });
    } catch (error) {
      // What Node refuses, the app may mend, or answer otherwise: that will be another body.
      if (isDescribed && !res.headersSent) {
        res.removeHeader("Content-Encoding");
        res.removeHeader("Content-Length");
      }
      throw error;
    }
  }

  private plain(bytes: Uint8Array): void {
    const { outlet, res } = this;
    this.whole = undefined;
    outlet.writeHead(this.status, this.reason, () => {
      if (!res.hasHeader("content-length")) res.setHeader("Content-Length", bytes.length);
    });
    outlet.end(bytes.length === 0 ? undefined : bytes, undefined, this.ended);
  }

  private endHead(total: number): void {
    this.outlet.writeHead(this.status, this.reason, () => {
      if (total === 0) return; // handlers need not write to HEAD: it says nothing of the length
      if (this.pays(total)) describeCoded(this.res, this.coding.encoding, undefined);
      else this.res.setHeader("Content-Length", total);
    });
    this.outlet.end(undefined, undefined, this.ended);
  }

  // From the coder.

  take(coded: Buffer): boolean {
    const { whole } = this;
    if (whole === undefined) return this.outlet.write(coded);
    if (this.parts === NO_PARTS) this.parts = [];
    this.parts.push(coded);
    this.partsBytes += coded.length;
    if (this.partsBytes >= whole.length) this.giveUp(whole);
    else if (
      this.partsBytes > MAX_COLLECTED &&
      this.partsBytes < SHRINKS * (this.coder!.consumed - MAX_LAG)
    ) {
      return this.late(() => this.commit()) ?? true;
    }
    return true;
  }

  done(): void {
    if (this.whole === undefined) this.outlet.end(undefined, undefined, this.ended);
    else this.late(() => this.send(this.collected()));
  }

  /** Brotli may keep a MiB to itself: that an answer has begun is told before. */
  quiet(): void {
    this.outlet.flushHeaders();
  }

  ready(): void {
    this.outlet.drain();
  }

  failed(error: Error): void {
    const { whole } = this;
    if (whole === undefined)
      this.cut(error, "compress: the body could not be coded, and the response was cut");
    else {
      reportFault(this.req, error, "compress: the body could not be coded, and is sent as it is");
      this.late(() => this.plain(whole));
    }
  }

  /** It does not shrink. */
  private giveUp(whole: Uint8Array): void {
    this.coder!.close();
    this.parts = NO_PARTS;
    this.late(() => this.plain(whole));
  }

  private commit(): boolean {
    this.writeCodedHead(undefined);
    return this.outlet.write(this.collected());
  }

  private collected(): Buffer {
    const { parts } = this;
    this.parts = NO_PARTS;
    this.whole = undefined;
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, this.partsBytes);
  }

  /** The app's own call is over: what Node refuses now, nobody can mend. */
  private late<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      this.cut(error, "compress: the response could not be sent, and was cut");
      return undefined;
    }
  }

  private cut(error: unknown, message: string): void {
    this.coder?.close();
    factsOf(this.req).cut = true;
    reportFault(this.req, error, message);
    truncate(this.res);
  }

  /** @param size of the body, if it is there whole */
  private open(size?: number): Coder {
    const coder = new Coder(this.coding, this.plan.jitter, this, size);
    this.coder = coder;
    if (!this.watched) {
      this.watched = true;
      onEnd(this.req, this.res, close, this);
    }
    return coder;
  }

  /** A length that pays for being coded. */
  private pays(length: number): boolean {
    return length > 0 && length >= this.plan.threshold;
  }

  /** The length, if the app has not given another: then the response goes as the app has made it. */
  private agreed(length: number): number | undefined {
    return this.declared === undefined || this.declared === length ? length : undefined;
  }
}

const NOTHING = new Uint8Array(0);

/** Never written to. */
const NO_PARTS: never[] = [];

function close(_res: unknown, body: Body): void {
  body.drop();
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
