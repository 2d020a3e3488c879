import type { Encoding, ZlibStream } from "./codings.js";
import { drawJitter, withJitter } from "./jitter.js";

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
