import type { WriteCallback } from "../lib/response/interceptor.js";
import { Coder, type Sink } from "./coder.js";
import type { Pause } from "./pause.js";
import type { Reply } from "./reply.js";

/** A body that is written in parts and encoded as a stream. The constructor sends the head. */
export class StreamedBody implements Sink {
  private readonly coder: Coder;
  private written = 0;
  /** The number of writes that are not encoded yet. */
  private underWay = 0;
  private callback: WriteCallback | undefined;

  constructor(
    private readonly reply: Reply,
    /** Every write is sent at once. */
    private readonly isLive: boolean,
    /** The Content-Length that the app has set. */
    private readonly declared: number | undefined,
    /** Touched when all writes have been encoded; undefined: no automatic flush. */
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

  /** Counts the write until it is encoded. A file is read as fast as it is encoded, so it never pauses and needs no flush. */
  private counted(callback: WriteCallback | undefined): WriteCallback {
    this.underWay++;
    return (error) => {
      if (--this.underWay === 0) this.pause?.touch();
      callback?.(error);
    };
  }

  /** Flushes, unless only the end is missing. */
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
    // The encoded body would end properly, and the client would take it for complete.
    this.coder.close();
    this.reply.cut(
      new Error(`the body has ${this.written} of ${this.declared} bytes`),
      "compress: the body is shorter than its Content-Length, and the response was truncated",
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

  /** Sends the head: Brotli may keep the first MiB for itself. */
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
    this.reply.cut(error, "compress: the body could not be encoded, and the response was truncated");
  }
}
