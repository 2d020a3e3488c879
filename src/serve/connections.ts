import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Http2SecureServer, ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { isDoomed, reset } from "../http/connection.js";
import { beforeHead } from "../http/response-hooks.js";

export type Server = HttpServer | Http2SecureServer;

/** One HTTP/1 connection. */
export interface Line {
  readonly socket: Socket;
  /** The responses under way, oldest first: a client may send requests before it has their answers. */
  readonly responses: ServerResponse[];
  /** Its last answer has said so: no request after it is processed (RFC 9112 section 9.6). */
  closing: boolean;
  /** It speaks another protocol now (WebSocket): its end is not ours to see. */
  upgraded: boolean;
  /** Called when the last response under way has ended. */
  whenIdle: (() => void) | undefined;
}

/** Knows a server's connections, and what is under way on each. */
export class Connections {
  readonly lines = new Map<Socket, Line>();
  readonly sessions = new Map<ServerHttp2Session, Set<ServerResponse>>();
  /** Sockets whose TLS handshake is not yet done. */
  private readonly greeting = new Map<string, Socket>();
  private draining = false;
  private graceIsOver = false;
  /** The 'close' listener of every response: one function for all. */
  private readonly ended: (this: ServerResponse) => void;

  constructor(server: Server, isTls: boolean) {
    const connections = this;
    this.ended = function ended() {
      connections.end(this);
    };
    if (isTls) {
      server.on("connection", (socket: Socket) => this.greet(socket));
      server.on("secureConnection", (socket: TLSSocket) => {
        this.greeting.delete(peerOf(socket));
        if (socket.alpnProtocol !== "h2") this.add(socket);
      });
      server.on("session", (session: ServerHttp2Session) => this.addSession(session));
    } else {
      server.on("connection", (socket: Socket) => this.add(socket));
    }
    const upgraded = (req: IncomingMessage) => {
      const line = this.lines.get(req.socket);
      if (line !== undefined) line.upgraded = true;
    };
    // Not listened for unless somebody else does: with a listener, Node takes requests to upgrade for upgrades.
    server.on("newListener", (name: string, listener: unknown) => {
      const isWatched = server.listeners(name).includes(upgraded as never);
      if ((name === "upgrade" || name === "connect") && listener !== upgraded && !isWatched) {
        server.prependListener(name, upgraded as never);
      }
    });
  }

  /** Takes note of a request; false if it came after its connection's last answer and must not be processed. */
  begin(req: IncomingMessage, res: ServerResponse): boolean {
    if (req.httpVersionMajor >= 2) {
      this.beginStream(req, res);
      return true;
    }
    if (isDoomed(req.socket)) return false;
    const line = this.lines.get(req.socket);
    if (line === undefined) return true; // a connection from elsewhere: `server.emit("request", ...)`
    if (line.closing) return false;
    line.responses.push(res);
    res.on("close", this.ended);
    if (this.draining) beforeHead(res, closeIfLast, line);
    return true;
  }

  private beginStream(req: IncomingMessage, res: ServerResponse): void {
    const { session } = (req as unknown as { stream: { session?: ServerHttp2Session } }).stream;
    const responses = session === undefined ? undefined : this.sessions.get(session);
    if (responses === undefined) return;
    responses.add(res);
    res.on("close", () => responses.delete(res));
  }

  /** The requests whose responses are under way. */
  *active(): Iterable<IncomingMessage> {
    for (const { responses } of this.lines.values()) for (const res of responses) yield res.req;
    for (const responses of this.sessions.values()) for (const res of responses) yield res.req;
  }

  /** From now on every connection ends with the response it is at, or the next one. */
  drain(): void {
    this.draining = true;
    for (const line of this.lines.values()) {
      for (const res of line.responses) if (!res.headersSent) beforeHead(res, closeIfLast, line);
    }
    // One GOAWAY, with the last stream that was taken: the client knows which of its requests it may send elsewhere.
    for (const session of this.sessions.keys()) session.close();
  }

  /** Ends the connections on which nothing is under way: idle, silent, or half-way through a request's head. */
  closeIdle(): void {
    this.graceIsOver = true;
    for (const line of this.lines.values()) {
      if (line.responses.length === 0 && !line.upgraded) line.socket.destroy();
    }
    for (const socket of this.greeting.values()) socket.destroy();
  }

  /** Cuts what is left so that no client takes it for whole. */
  cut(): void {
    for (const { socket } of this.lines.values()) reset(socket);
    for (const [session, responses] of this.sessions) {
      for (const res of responses) streamOf(res)?.close(NGHTTP2_INTERNAL_ERROR);
      setImmediate(() => session.destroy()); // after the resets have gone out
    }
    for (const socket of this.greeting.values()) socket.destroy();
  }

  private add(socket: Socket): void {
    const line: Line = { socket, responses: [], closing: false, upgraded: false, whenIdle: undefined };
    this.lines.set(socket, line);
    socket.on("close", () => this.lines.delete(socket));
  }

  private addSession(session: ServerHttp2Session): void {
    this.sessions.set(session, new Set());
    session.on("close", () => this.sessions.delete(session));
    if (this.draining) session.close();
  }

  private greet(socket: Socket): void {
    const peer = peerOf(socket);
    this.greeting.set(peer, socket);
    socket.on("close", () => {
      if (this.greeting.get(peer) === socket) this.greeting.delete(peer);
    });
  }

  private end(res: ServerResponse): void {
    const line = this.lines.get(res.req.socket);
    if (line === undefined) return;
    const { responses } = line;
    responses.splice(responses.indexOf(res), 1);
    if (responses.length > 0) return;
    if (line.whenIdle !== undefined) line.whenIdle();
    // Within the grace it is an idle connection like any other: its client may have sent the next request already.
    else if (this.graceIsOver && !line.upgraded) line.socket.destroySoon();
  }
}

/** The newest response of a connection that is to end says so; asked when its head is written. */
function closeIfLast(res: ServerResponse, line: Line): void {
  if (line.responses.at(-1) !== res) return;
  line.closing = true;
  res.setHeader("Connection", "close");
}

const NGHTTP2_INTERNAL_ERROR = 2;

function streamOf(res: ServerResponse): { close(code: number): void } | undefined {
  return (res as unknown as { stream?: { close(code: number): void } }).stream;
}

/** The same for a socket and for the TLS socket on it, which nothing public connects. A Unix socket has no peer. */
function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
