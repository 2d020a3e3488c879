import type { WriteCallback } from "../lib/response/interceptor.js";
import { Coder, type Sink } from "./coder.js";
import type { Coding } from "./codings.js";
import { drawJitter, withJitter } from "./jitter.js";
import type { Reply } from "./reply.js";

/** Bodies of at most this size are encoded synchronously: a stream and a thread would take longer. */
export const ON_THE_SPOT = 16_384;

/** The most encoded bytes that are kept before the head is sent, so that most responses have a Content-Length. */
const MAX_COLLECTED = 1_048_576;

/** An encoder has consumed more than its output shows: Brotli up to a MiB of bytes that hardly compress. */
const MAX_LAG = 1_048_576;

/** The head is sent before the end only if the encoded size is less than this part of the input. */
const SHRINKS = 0.75;

/** The synchronous encoder for a body of this size; undefined if the body is too large or the level too slow. */
export function onTheSpot({ plan, coding }: Reply, size: number): Coding["now"] {
  const needsStream = plan.jitter > 0 && coding.encoding === "br"; // its jitter must follow a flush
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

const FAILED_EARLY = "compress: the body could not be encoded, and is sent as it is";

/** Shared and never written to. */
const NOTHING: never[] = [];

/** A complete body that is encoded in the thread pool. */
export class WholeBody implements Sink {
  private readonly coder: Coder;
  /** The body, until it is decided how to send it. */
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
      this.sendPlain(bytes); // encoding does not make it smaller
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
      this.reply.cut(error, "compress: the body could not be encoded, and the response was truncated");
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

  /** The app's own call has returned, so an error of Node's must be handled here. */
  private attempt<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      this.coder.close();
      this.reply.cut(error, "compress: the response could not be sent, and was truncated");
      return undefined;
    }
  }
}
