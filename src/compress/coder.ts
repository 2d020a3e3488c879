import type { Coding, Encoder } from "./codings.js";
import { drawJitter, withJitter } from "./jitter.js";

/** Where coded bytes go. */
export interface Sink {
  /** False: no more until `resume`. */
  take(bytes: Buffer): boolean;
  /** All has been coded, and taken. */
  done(): void;
  /** The first bytes are coded, and nothing has come out: the encoder waits for more. */
  quiet(): void;
  /** After a `write` that was false: there is room again. */
  ready(): void;
  failed(error: Error): void;
}

/** One encoder, with the client's pace on one side and the app's on the other. */
export class Coder {
  private readonly encoder: Encoder;
  private closed = false;
  /** Something was written since the last flush. */
  private dirty = false;
  private jitter: number | undefined;
  private isSilent = true;
  private hasBegun = false;

  /** @param jitter bytes at most; 0 for none */
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

  /** How much of the body has been coded. */
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

  /** Frees the memory of zlib, which the garbage collector does not see. */
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
