import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";

/**
 * Finds out whether the head of a request is under way on a session: begun, and not yet at its end. Node says nothing
 * of a head before it is whole, and has no limit for the time between its frames (HEADERS, CONTINUATION).
 *
 * The session's state knows the last stream that was begun. If no request has come of it for a while, either its head is
 * still coming, or it was refused. A PING tells the two apart: a client that is within a head must send nothing else
 * (RFC 9113 section 6.10), not even the answer to a PING.
 */
export class HeadWatch {
  /** The last stream of which it is known that its head is over. */
  private known = 0;
  private since: number | undefined;
  private asked = false;

  constructor(private readonly session: ServerHttp2Session) {
    session.on("stream", ({ id = 0 }: ServerHttp2Stream) => {
      if (id > this.known) this.known = id;
    });
  }

  /** To be called every second or so: whether a head has been under way for at least this long. */
  isLate(now: number, limitMs: number): boolean {
    const { session } = this;
    // One that is closing takes no new requests, and ends with those that it has.
    if (session.destroyed || session.closed) return false;
    if (this.last() <= this.known) {
      this.since = undefined;
      return false;
    }
    this.since ??= now;
    if (!this.asked) this.ask();
    return now - this.since >= limitMs;
  }

  private ask(): void {
    this.asked = this.session.ping((error) => {
      this.asked = false;
      if (error || this.session.destroyed) return;
      this.known = Math.max(this.known, this.last());
      this.since = undefined;
    });
  }

  private last(): number {
    return this.session.state.lastProcStreamID ?? 0;
  }
}
