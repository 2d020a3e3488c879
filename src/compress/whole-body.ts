import type { WriteCallback } from "../lib/response/interceptor.js";
import { Coder, type Sink } from "./coder.js";
import type { Coding } from "./codings.js";
import { drawJitter, withJitter } from "./jitter.js";
import type { Reply } from "./reply.js";

/** Up to this many bytes, a body is coded on the spot: to set up a stream and a thread's turn takes longer. */
export const ON_THE_SPOT = 16_384;

/** So much is kept coded before the head is sent: most bodies have a length then. */
const MAX_COLLECTED = 1_048_576;

/** An encoder keeps some of what it has consumed to itself; Brotli, of bytes that hardly shrink, up to a MiB. */
const MAX_LAG = 1_048_576;

/** By this much, for its head to be sent before all of it is coded. */
const SHRINKS = 0.75;

/** How to code a body of this size on the spot, if it is small, and its coding fit for that. */
export function onTheSpot({ plan, coding }: Reply, size: number): Coding["now"] {
  const needsStream = plan.jitter > 0 && coding.encoding === "br"; // its noise stands after a flush
  return size > ON_THE_SPOT || needsStream ? undefined : coding.now;
}

export function codeNow(
  reply: Reply,
  bytes: Uint8Array,
  now: NonNullable<Coding["now"]>,
  callback: WriteCallback | undefined,
): void {
  const { plan, coding } = reply;
  let coded: Buffer | undefined;
  try {
    coded = now(bytes);
    if (plan.jitter > 0) coded = withJitter(coding.encoding, coded, drawJitter(plan.jitter));
  } catch (error) {
    reply.report(error, FAILED_EARLY);
  }
  if (coded === undefined || coded.length >= bytes.length) reply.sendPlain(bytes, callback);
  else reply.sendCoded(coded, callback);
}

const FAILED_EARLY = "compress: the body could not be coded, and is sent as it is";

/** Never written to. */
const NOTHING: never[] = [];

/** A body that is there whole, coded by the thread pool. */
export class WholeBody implements Sink {
  private readonly coder: Coder;
  /** The body, until it is settled how it is sent. */
  private bytes: Uint8Array | undefined;
  private parts: Buffer[] = NOTHING;
  private size = 0;

  constructor(
    private readonly reply: Reply,
    bytes: Uint8Array,
    private readonly callback: WriteCallback | undefined,
  ) {
    this.bytes = bytes;
    this.coder = new Coder(reply.coding, reply.plan.jitter, this, bytes.length);
    this.coder.end(bytes);
  }

  resume(): void {
    this.coder.resume();
  }

  close(): void {
    this.coder.close();
  }

  take(coded: Buffer): boolean {
    const { bytes } = this;
    if (bytes === undefined) return this.reply.outlet.write(coded);
    if (this.parts === NOTHING) this.parts = [];
    this.parts.push(coded);
    this.size += coded.length;
    if (this.size >= bytes.length) {
      this.coder.close();
      this.sendPlain(bytes); // it does not shrink
    } else if (this.size > MAX_COLLECTED && this.size < SHRINKS * (this.coder.consumed - MAX_LAG)) {
      return this.attempt(() => this.commit()) ?? true;
    }
    return true;
  }

  done(): void {
    if (this.bytes === undefined) this.reply.outlet.end(undefined, undefined, this.callback);
    else this.attempt(() => this.reply.sendCoded(this.collected(), this.callback));
  }

  failed(error: Error): void {
    const { bytes } = this;
    if (bytes === undefined) {
      this.reply.cut(error, "compress: the body could not be coded, and the response was cut");
    } else {
      this.reply.report(error, FAILED_EARLY);
      this.sendPlain(bytes);
    }
  }

  quiet(): void {}
  ready(): void {}

  private commit(): boolean {
    this.reply.writeCodedHead(undefined);
    return this.reply.outlet.write(this.collected());
  }

  private collected(): Buffer {
    const { parts, size } = this;
    this.parts = NOTHING;
    this.bytes = undefined;
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, size);
  }

  private sendPlain(bytes: Uint8Array): void {
    this.parts = NOTHING;
    this.bytes = undefined;
    this.attempt(() => this.reply.sendPlain(bytes, this.callback));
  }

  /** The app's own call is over: what Node refuses now, nobody can mend. */
  private attempt<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      this.coder.close();
      this.reply.cut(error, "compress: the response could not be sent, and was cut");
      return undefined;
    }
  }
}
