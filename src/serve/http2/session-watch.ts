import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";

/** How long after the client's last data a PING is sent. */
const QUIET_MS = 2_000;
/** How long a PING may wait to be written while the socket is free, and how long a socket may stay after its session. */
const STUCK_MS = 2_000;
/** The limit if the server has none for idle connections. */
const PATIENCE_MS = 65_000;

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
  private moved = -1;
  private movedAt = 0;
  private read = -1;
  private readAt = 0;
  /** `bytesRead` when the client last answered. */
  private provenRead = -1;
  private asked = false;

  /** @param isBusy whether requests are under way */
  constructor(
    private readonly session: ServerHttp2Session,
    private readonly isBusy: () => boolean,
  ) {
    // A method of the proxy returns the real socket.
    this.socket = session.socket.removeListener("close", nothing);
  }

  /** Call it about every second. */
  look(now: number, keepAliveMs: number): void {
    this.measure(now);
    const { session, socket } = this;
    const unmovedMs = now - this.movedAt;
    const patienceMs = keepAliveMs > 0 ? keepAliveMs : PATIENCE_MS;
    if (session.destroyed) {
      if (unmovedMs >= (unsent(socket) === 0 ? Math.min(STUCK_MS, patienceMs) : patienceMs))
        below(socket).destroy();
    } else if (this.asked) {
      if (this.isStuck(unmovedMs) || unmovedMs >= patienceMs) session.destroy();
    } else if (unmovedMs >= patienceMs && !this.isBusy()) {
      if (session.closed) session.destroy();
      else if (keepAliveMs > 0) session.close();
    } else if (unmovedMs >= patienceMs || (this.read !== this.provenRead && now - this.readAt >= QUIET_MS)) {
      this.ask();
    }
  }

  private measure(now: number): void {
    const { socket } = this;
    if (socket.bytesRead !== this.read) {
      this.read = socket.bytesRead;
      this.readAt = now;
    }
    const moved = socket.bytesRead + socket.bytesWritten - unsent(socket);
    if (moved === this.moved) return;
    this.moved = moved;
    this.movedAt = now;
  }

  /** Whether the PING was not written, although the socket is free. */
  private isStuck(unmovedMs: number): boolean {
    return unmovedMs >= STUCK_MS && unsent(this.socket) === 0 && this.session.state.outboundQueueSize !== 0;
  }

  private ask(): void {
    this.asked = true;
    const answered = () => {
      this.asked = false;
      this.provenRead = this.socket.bytesRead;
    };
    // Node sends no PING on a session that is closing.
    if (this.session.closed) this.session.settings({}, answered);
    else this.session.ping((error) => error ?? answered());
  }
}

/** Bytes that wait until the client reads. */
function unsent(socket: Socket): number {
  const { _handle } = below(socket) as { readonly _handle?: { readonly writeQueueSize?: number } | null };
  return _handle?.writeQueueSize ?? 0;
}

/** The TCP socket of a TLS socket. */
function below(socket: Socket): Socket {
  return (socket as { readonly _parent?: Socket | null })._parent ?? socket;
}
