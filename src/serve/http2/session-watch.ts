import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { tcpSocketOf } from "../sockets.js";

/** How long after the client's last data a PING is sent. */
const PING_AFTER_MS = 2_000;
/** How long a PING may wait to be written while the socket is free, and how long a socket may stay after its session. */
const STUCK_MS = 2_000;
/** The limit if the server has none for idle connections. */
const IDLE_MS = 65_000;

const nothing = () => {};

/**
 * Ends a session that does not end by itself. After a connection error (RFC 9113 section 5.4.1) nghttp2 neither reads
 * nor writes; Node before 24 emits nothing then, and does not see that the client has closed the connection. After
 * `session.destroy()` Node waits until the client closes its side.
 *
 * To check a session, it sends a frame that the client must acknowledge: once after the client's last data, and again
 * while no data is transferred. A client that reads slowly but answers is not ended.
 */
export class SessionWatch {
  /** The real socket: `session.socket` is a proxy without `destroy`. */
  readonly socket: Socket;
  private transferred = -1;
  private transferredAt = 0;
  private read = -1;
  private readAt = 0;
  /** `bytesRead` when the client last answered. */
  private acknowledgedRead = -1;
  private isPinging = false;

  /** @param isBusy whether requests are under way */
  constructor(
    private readonly session: ServerHttp2Session,
    private readonly isBusy: () => boolean,
  ) {
    // A method of the proxy returns the real socket.
    this.socket = session.socket.removeListener("close", nothing);
  }

  /** Call it about every second. */
  check(now: number, keepAliveMs: number): void {
    this.measure(now);
    const { session, socket } = this;
    const quietMs = now - this.transferredAt;
    const idleMs = keepAliveMs > 0 ? keepAliveMs : IDLE_MS;
    if (session.destroyed) {
      if (quietMs >= (unsentBytes(socket) === 0 ? Math.min(STUCK_MS, idleMs) : idleMs))
        tcpSocketOf(socket).destroy();
    } else if (this.isPinging) {
      if (this.isStuck(quietMs) || quietMs >= idleMs) session.destroy();
    } else if (quietMs >= idleMs && !this.isBusy()) {
      if (session.closed) session.destroy();
      else if (keepAliveMs > 0) session.close();
    } else if (
      quietMs >= idleMs ||
      (this.read !== this.acknowledgedRead && now - this.readAt >= PING_AFTER_MS)
    ) {
      this.ping();
    }
  }

  private measure(now: number): void {
    const { socket } = this;
    if (socket.bytesRead !== this.read) {
      this.read = socket.bytesRead;
      this.readAt = now;
    }
    const transferred = socket.bytesRead + socket.bytesWritten - unsentBytes(socket);
    if (transferred === this.transferred) return;
    this.transferred = transferred;
    this.transferredAt = now;
  }

  /** Whether the PING was not written, although the socket is free. */
  private isStuck(quietMs: number): boolean {
    return (
      quietMs >= STUCK_MS && unsentBytes(this.socket) === 0 && this.session.state.outboundQueueSize !== 0
    );
  }

  private ping(): void {
    this.isPinging = true;
    const answered = () => {
      this.isPinging = false;
      this.acknowledgedRead = this.socket.bytesRead;
    };
    // Node sends no PING on a session that is closing.
    if (this.session.closed) this.session.settings({}, answered);
    else this.session.ping((error) => error ?? answered());
  }
}

/** Bytes that wait until the client reads. */
function unsentBytes(socket: Socket): number {
  const { _handle } = tcpSocketOf(socket) as {
    readonly _handle?: { readonly writeQueueSize?: number } | null;
  };
  return _handle?.writeQueueSize ?? 0;
}

/**
 * Detects a request whose head (HEADERS and CONTINUATION frames) has begun and does not end. Node emits nothing before
 * the head is complete, and has no time limit for it.
 *
 * The session's state has the id of the last stream that the client began. If it emitted no request, its head is still
 * incomplete, or it was refused. A PING shows which: within a head the client must send no other frame (RFC 9113 section
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
