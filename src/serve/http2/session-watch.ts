import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";

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

/** The TCP socket of a TLS socket. */
function tcpSocketOf(socket: Socket): Socket {
  return (socket as { readonly _parent?: Socket | null })._parent ?? socket;
}
