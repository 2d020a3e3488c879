import type { WriteCallback } from "../lib/response/interceptor.js";
import type { Encoding } from "./encoders.js";
import { drawJitter, withJitter } from "./jitter.js";
import type { EncodableResponse } from "./response.js";
import { BodyEncoder, type EncoderOutput } from "./stream.js";

/** Bodies of at most this size are encoded synchronously: a stream and a thread would take longer. */
export const MAX_SYNC_SIZE = 16_384;

/** The most encoded bytes that are kept before the head is sent, so that most responses have a Content-Length. */
const MAX_COLLECTED = 1_048_576;

/** The most input that an encoder keeps without output: Brotli up to a MiB of bytes that hardly compress. */
const MAX_LAG = 1_048_576;

/** The head is sent before the end only if the encoded size is less than this part of the input. */
const SHRINKS = 0.75;

/** The synchronous encoder for a body of this size; undefined if the body is too large or the level too slow. */
export function syncEncoder({ plan, encoding }: EncodableResponse, size: number): Encoding["encodeSync"] {
  const needsStream = plan.jitter > 0 && encoding.name === "br"; // its jitter must follow a flush
  return size > MAX_SYNC_SIZE || needsStream ? undefined : encoding.encodeSync;
}

/** The encoded body; undefined if it is not smaller, or could not be encoded. */
export function encodeNow(
  response: EncodableResponse,
  bytes: Uint8Array,
  encodeSync: NonNullable<Encoding["encodeSync"]>,
): Buffer | undefined {
  const { plan, encoding } = response;
  try {
    let encoded = encodeSync(bytes);
    if (plan.jitter > 0) encoded = withJitter(encoding.name, encoded, drawJitter(plan.jitter));
    return encoded.length < bytes.length ? encoded : undefined;
  } catch (error) {
    response.report(error, FAILED_EARLY);
    return undefined;
  }
}

const FAILED_EARLY = "compress: the body could not be encoded, and is sent as it is";

/** Shared and never written to. */
const NOTHING: never[] = [];

/** A complete body that is encoded in the thread pool. */
export class WholeBody implements EncoderOutput {
  private readonly encoder: BodyEncoder;
  /** The body, until it is decided how to send it. */
  private bytes: Uint8Array | undefined;
  private parts: Buffer[] = NOTHING;
  private size = 0;

  constructor(
    private readonly response: EncodableResponse,
    bytes: Uint8Array,
    private readonly callback: WriteCallback | undefined,
  ) {
    this.bytes = bytes;
    this.encoder = new BodyEncoder(response.encoding, response.plan.jitter, this, bytes.length);
    this.encoder.end(bytes);
  }

  resume(): void {
    this.encoder.resume();
  }

  close(): void {
    this.encoder.close();
  }

  onData(encoded: Buffer): boolean {
    const { bytes } = this;
    if (bytes === undefined) return this.response.outer.write(encoded);
    if (this.parts === NOTHING) this.parts = [];
    this.parts.push(encoded);
    this.size += encoded.length;
    if (this.size >= bytes.length) {
      this.encoder.close();
      this.sendPlain(bytes); // encoding does not make it smaller
    } else if (this.size > MAX_COLLECTED && this.size < SHRINKS * (this.encoder.consumed - MAX_LAG)) {
      return this.attempt(() => this.commit()) ?? true;
    }
    return true;
  }

  onEnd(): void {
    if (this.bytes === undefined) this.response.outer.end(undefined, undefined, this.callback);
    else this.attempt(() => this.response.sendEncoded(this.collected(), this.callback));
  }

  onError(error: Error): void {
    const { bytes } = this;
    if (bytes === undefined) {
      this.response.truncate(
        error,
        "compress: the body could not be encoded, and the response was truncated",
      );
    } else {
      this.response.report(error, FAILED_EARLY);
      this.sendPlain(bytes);
    }
  }

  onNoOutput(): void {}
  onDrain(): void {}

  private commit(): boolean {
    this.response.writeEncodedHead(undefined);
    return this.response.outer.write(this.collected());
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
    this.attempt(() => this.response.sendPlain(bytes, this.callback));
  }

  /** The app's own call has returned, so an error of Node's must be handled here. */
  private attempt<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      this.encoder.close();
      this.response.truncate(error, "compress: the response could not be sent, and was truncated");
      return undefined;
    }
  }
}
