import type { WriteCallback } from "../lib/response/interceptor.js";
import type { Encoding, ZlibStream } from "./encoders.js";
import { drawJitter, withJitter } from "./jitter.js";
import type { EncodableResponse } from "./response.js";

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
    /** Notified when all writes have been encoded; undefined: no automatic flush. */
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

  /** Counts the write until it is encoded: only then can a pause begin. So a piped file, which is read as fast as it is
   * encoded, is not flushed between its parts. */
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
    // If the encoder were ended, the client would take the encoded body for complete.
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

  /** Sends the head at once: Brotli may produce nothing for the first MiB of the body. */
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

/** Receives encoded bytes. */
export interface EncoderOutput {
  /** Returns false to pause the encoder until `resume`. */
  onData(bytes: Buffer): boolean;
  /** Everything was encoded and taken. */
  onEnd(): void;
  /** The first bytes were encoded, but without output: the encoder waits for more. */
  onNoOutput(): void;
  /** The encoder accepts more, after a `write` that returned false. */
  onDrain(): void;
  onError(error: Error): void;
}

/** An encoder between the app and the client, with backpressure on both sides. */
export class BodyEncoder {
  private readonly encoder: ZlibStream;
  private closed = false;
  /** There were writes since the last flush. */
  private dirty = false;
  private jitter: number | undefined;
  private hasNoOutput = true;
  private hasBegun = false;

  /** @param jitter the most bytes of jitter; 0 for none */
  constructor(
    private readonly encoding: Encoding,
    jitter: number,
    private readonly output: EncoderOutput,
    size: number | undefined,
  ) {
    this.jitter = jitter > 0 ? drawJitter(jitter) : undefined;
    const encoder = encoding.open(size);
    this.encoder = encoder;
    encoder.on("data", (bytes: Buffer) => this.onData(bytes));
    encoder.on("end", () => this.closed || output.onEnd());
    encoder.on("drain", () => this.closed || output.onDrain());
    encoder.on("error", (error: Error) => this.fail(error));
    if (this.jitter !== undefined && encoding.name === "br") encoder.flush(encoding.flushKind);
  }

  /** How many bytes of the body were encoded. */
  get consumed(): number {
    return this.encoder.bytesWritten;
  }

  write(bytes: Uint8Array, callback?: (error?: Error | null) => void): boolean {
    this.dirty = true;
    if (this.hasBegun) return this.encoder.write(bytes, callback);
    this.hasBegun = true;
    return this.encoder.write(bytes, (error) => {
      if (this.hasNoOutput && !this.closed) this.output.onNoOutput();
      callback?.(error);
    });
  }

  flush(): void {
    if (!this.dirty || this.closed) return;
    this.dirty = false;
    this.encoder.flush(this.encoding.flushKind);
  }

  end(bytes?: Uint8Array): void {
    this.encoder.end(bytes);
  }

  resume(): void {
    if (!this.closed) this.encoder.resume();
  }

  /** Frees zlib's memory, which the garbage collector does not count. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.encoder.destroy();
  }

  private onData(bytes: Buffer): void {
    if (this.closed) return;
    this.hasNoOutput = false;
    let encoded = bytes;
    if (this.jitter !== undefined) {
      encoded = withJitter(this.encoding.name, bytes, this.jitter);
      this.jitter = undefined;
    }
    if (!this.output.onData(encoded) && !this.closed) this.encoder.pause();
  }

  private fail(error: Error): void {
    if (this.closed) return;
    this.close();
    this.output.onError(error);
  }
}

/** Calls back when the event loop has made a whole turn without a write. */
export class PauseDetector {
  private wasTouched = false;
  private isWaiting = false;
  private isOver = false;

  constructor(private readonly onPause: () => void) {}

  /** There was a write, or a write was encoded. */
  touch(): void {
    this.wasTouched = true;
    if (this.isWaiting || this.isOver) return;
    this.isWaiting = true;
    setImmediate(check, this);
  }

  /** There will be no more writes. */
  end(): void {
    this.isOver = true;
  }

  check(): void {
    if (this.isOver) return;
    if (this.wasTouched) {
      this.wasTouched = false;
      setImmediate(check, this);
      return;
    }
    this.isWaiting = false;
    this.onPause();
  }
}

function check(pause: PauseDetector): void {
  pause.check();
}
