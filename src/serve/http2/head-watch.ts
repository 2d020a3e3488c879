import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";

/**
 * Detects a request whose head (HEADERS and CONTINUATION frames) has begun and does not end. Node emits nothing before
 * the head is complete, and has no time limit for it.
 *
 * The session's state has the id of the last stream that the client began. If it emitted no request, its head is still
 * incomplete, or it was refused. A PING tells which: within a head the client must send no other frame (RFC 9113 section
 * 6.10), so that it cannot answer.
 */
export class HeadWatch {
  /** The last stream whose head is known to be complete. */
  private lastComplete = 0;
  private since: number | undefined;
  private isPinging = false;

  constructor(private readonly session: ServerHttp2Session) {
    session.on("stream", ({ id = 0 }: ServerHttp2Stream) => {
      if (id > this.lastComplete) this.lastComplete = id;
    });
  }

  /** Call it about every second. Returns whether a head has been incomplete for at least this long. */
  isLate(now: number, limitMs: number): boolean {
    const { session } = this;
    // A closing session accepts no new requests, and ends with its last one.
    if (session.destroyed || session.closed) return false;
    if (this.lastBegun() <= this.lastComplete) {
      this.since = undefined;
      return false;
    }
    this.since ??= now;
    if (!this.isPinging) this.ping();
    return now - this.since >= limitMs;
  }

  private ping(): void {
    this.isPinging = this.session.ping((error) => {
      this.isPinging = false;
      if (error || this.session.destroyed) return;
      this.lastComplete = Math.max(this.lastComplete, this.lastBegun());
      this.since = undefined;
    });
  }

  private lastBegun(): number {
    return this.session.state.lastProcStreamID ?? 0;
  }
}
