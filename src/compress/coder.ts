import type { Coding, Encoder } from "./codings.js";
import { drawJitter, withJitter } from "./jitter.js";

/** Receives encoded bytes. */
export interface Sink {
  /** Returns false to pause the encoder until `resume`. */
  take(bytes: Buffer): boolean;
  /** Everything was encoded and taken. */
  done(): void;
  /** The first bytes were encoded, but without output: the encoder waits for more. */
  quiet(): void;
  /** The encoder accepts more, after a `write` that returned false. */
  ready(): void;
  failed(error: Error): void;
}

/** An encoder between the app and the client, with backpressure on both sides. */
export class Coder {
  private readonly encoder: Encoder;
  private closed = false;
  /** There were writes since the last flush. */
  private dirty = false;
  private jitter: number | undefined;
  private isSilent = true;
  private hasBegun = false;

  /** @param jitter the most bytes of jitter; 0 for none */
  constructor(
    private readonly coding: Coding,
    jitter: number,
    private readonly sink: Sink,
    size: number | undefined,
  ) {
    this.jitter = jitter > 0 ? drawJitter(jitter) : undefined;
    const encoder = coding.open(size);
    this.encoder = encoder;
    encoder.on("data", (bytes: Buffer) => this.take(bytes));
    encoder.on("end", () => this.closed || sink.done());
    encoder.on("drain", () => this.closed || sink.ready());
    encoder.on("error", (error: Error) => this.fail(error));
    if (this.jitter !== undefined && coding.encoding === "br") encoder.flush(coding.flushKind);
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
      if (this.isSilent && !this.closed) this.sink.quiet();
      callback?.(error);
    });
  }

  flush(): void {
    if (!this.dirty || this.closed) return;
    this.dirty = false;
    this.encoder.flush(this.coding.flushKind);
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

  private take(bytes: Buffer): void {
    if (this.closed) return;
    this.isSilent = false;
    let coded = bytes;
    if (this.jitter !== undefined) {
      coded = withJitter(this.coding.encoding, bytes, this.jitter);
      this.jitter = undefined;
    }
    if (!this.sink.take(coded) && !this.closed) this.encoder.pause();
  }

  private fail(error: Error): void {
    if (this.closed) return;
    this.close();
    this.sink.failed(error);
  }
}
