import type { WriteCallback } from "../lib/response/interceptor.js";
import { BodyEncoder, type EncoderOutput } from "./coder.js";
import type { PauseDetector } from "./pause.js";
import type { EncodableResponse } from "./reply.js";

/** A body that is written in parts and encoded as a stream. The constructor sends the head. */
export class StreamedBody implements EncoderOutput {
  private readonly encoder: BodyEncoder;
  private written = 0;
  /** The number of writes that are not encoded yet. */
  private pendingWrites = 0;
  private callback: WriteCallback | undefined;

  constructor(
    private readonly response: EncodableResponse,
    /** Every write is sent at once. */
    private readonly isLive: boolean,
    /** The Content-Length that the app has set. */
    private readonly declared: number | undefined,
    /** Touched when all writes have been encoded; undefined: no automatic flush. */
    private readonly pause: PauseDetector | undefined,
  ) {
    this.encoder = new BodyEncoder(response.encoding, response.plan.jitter, this, undefined);
    try {
      response.writeEncodedHead(undefined);
    } catch (error) {
      this.encoder.close();
      throw error;
    }
  }

  write(bytes: Uint8Array, callback: WriteCallback | undefined): boolean {
    this.written += bytes.length;
    const more = this.encoder.write(bytes, this.pause === undefined ? callback : this.counted(callback));
    if (this.isLive) this.encoder.flush();
    return more;
  }

  /** Counts the write until it is encoded. A file is read as fast as it is encoded, so it never pauses and needs no flush. */
  private counted(callback: WriteCallback | undefined): WriteCallback {
    this.pendingWrites++;
    return (error) => {
      if (--this.pendingWrites === 0) this.pause?.touch();
      callback?.(error);
    };
  }

  /** Flushes, unless only the end is missing. */
  atPause(): void {
    if (this.pendingWrites === 0 && this.written !== this.declared) this.encoder.flush();
  }

  end(bytes: Uint8Array | undefined, callback: WriteCallback | undefined): void {
    if (bytes !== undefined) this.write(bytes, undefined);
    this.callback = callback;
    if (this.declared === undefined || this.written >= this.declared) {
      this.encoder.end();
      return;
    }
    // The encoded body would end properly, and the client would take it for complete.
    this.encoder.close();
    this.response.truncate(
      new Error(`the body has ${this.written} of ${this.declared} bytes`),
      "compress: the body is shorter than its Content-Length, and the response was truncated",
    );
  }

  flush(): void {
    this.encoder.flush();
  }

  resume(): void {
    this.encoder.resume();
  }

  close(): void {
    this.encoder.close();
  }

  onData(encoded: Buffer): boolean {
    return this.response.outer.write(encoded);
  }

  /** Sends the head: Brotli may keep the first MiB for itself. */
  onNoOutput(): void {
    this.response.outer.flushHeaders();
  }

  onDrain(): void {
    this.response.outer.drain();
  }

  onEnd(): void {
    this.response.outer.end(undefined, undefined, this.callback);
  }

  onError(error: Error): void {
    this.response.truncate(error, "compress: the body could not be encoded, and the response was truncated");
  }
}
