import type { WriteCallback } from "../lib/response/interceptor.js";
import { Coder, type Sink } from "./coder.js";
import type { Pause } from "./pause.js";
import type { Reply } from "./reply.js";

/** A body that comes in parts, and is sent as the encoder gives it out. Its head is sent when it is made. */
export class StreamedBody implements Sink {
  private readonly coder: Coder;
  private written = 0;
  /** Writes that are not encoded yet. */
  private underWay = 0;
  private callback: WriteCallback | undefined;

  constructor(
    private readonly reply: Reply,
    /** Every write is wanted on the wire at once. */
    private readonly isLive: boolean,
    /** The Content-Length that the app has given. */
    private readonly declared: number | undefined,
    /** Called when all that was written has been encoded; undefined: nothing is flushed by itself. */
    private readonly pause: Pause | undefined,
  ) {
    this.coder = new Coder(reply.coding, reply.plan.jitter, this, undefined);
    try {
      reply.writeCodedHead(undefined);
    } catch (error) {
      this.coder.close();
      throw error;
    }
  }

  write(bytes: Uint8Array, callback: WriteCallback | undefined): boolean {
    this.written += bytes.length;
    const more = this.coder.write(bytes, this.pause === undefined ? callback : this.counted(callback));
    if (this.isLive) this.coder.flush();
    return more;
  }

  /** While the encoder is at work, more may come: a file is read as fast as it is encoded, and needs no flush. */
  private counted(callback: WriteCallback | undefined): WriteCallback {
    this.underWay++;
    return (error) => {
      if (--this.underWay === 0) this.pause?.touch();
      callback?.(error);
    };
  }

  /** Unless only the end is still to come. */
  atPause(): void {
    if (this.underWay === 0 && this.written !== this.declared) this.coder.flush();
  }

  end(bytes: Uint8Array | undefined, callback: WriteCallback | undefined): void {
    if (bytes !== undefined) this.write(bytes, undefined);
    this.callback = callback;
    if (this.declared === undefined || this.written >= this.declared) {
      this.coder.end();
      return;
    }
    // Without us, the client would wait for the rest. The coded body has an end: it must not be taken for whole.
    this.coder.close();
    this.reply.cut(
      new Error(`the body has ${this.written} of ${this.declared} bytes`),
      "compress: the body is shorter than its Content-Length, and the response was cut",
    );
  }

  flush(): void {
    this.coder.flush();
  }

  resume(): void {
    this.coder.resume();
  }

  close(): void {
    this.coder.close();
  }

  take(coded: Buffer): boolean {
    return this.reply.outlet.write(coded);
  }

  /** Brotli may keep a MiB to itself: that an answer has begun is told before. */
  quiet(): void {
    this.reply.outlet.flushHeaders();
  }

  ready(): void {
    this.reply.outlet.drain();
  }

  done(): void {
    this.reply.outlet.end(undefined, undefined, this.callback);
  }

  failed(error: Error): void {
    this.reply.cut(error, "compress: the body could not be coded, and the response was cut");
  }
}
