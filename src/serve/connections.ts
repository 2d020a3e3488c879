import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Http2SecureServer } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { upgradeInScope } from "../lib/request/scope.js";
import { isHttp2 } from "../lib/request/transport.js";
import { isClosing, notePipelined, reset } from "../lib/response/close.js";
import { beforeHead } from "../lib/response/head-hooks.js";
import { watchTakeOver } from "../lib/response/take-over.js";
import { peek } from "../lib/values/thrown.js";
import { endAfter, lingerAfter } from "./linger.js";
import { checkHead, type HeadFault } from "./request-head.js";
import { Sessions } from "./sessions.js";

export type Server = HttpServer | Http2SecureServer;

/** One HTTP/1 connection. */
export interface Line {
  readonly socket: Socket;
  /** The responses under way, oldest first: a client may send several requests before the first answer (pipelining). */
  readonly responses: ServerResponse[];
  /** A response has said `Connection: close`: no later request is processed (RFC 9112 section 9.6). */
  closing: boolean;
  /** It speaks another protocol now (WebSocket): the program that took it over ends it. */
  upgraded: boolean;
  /** The last answered request whose body was not yet read to its end. */
  unread: IncomingMessage | undefined;
  /** Set after a client error and called after each response: answers the error when its turn has come. */
  refusal: (() => void) | undefined;
}

/** The connections of a server, and the responses under way on each. */
export class Connections {
  readonly lines = new Map<Socket, Line>();
  readonly sessions: Sessions;
  /** Sockets whose TLS handshake is not yet done. */
  private readonly greeting = new Set<Socket>();
  private draining = false;
  private graceIsOver = false;
  private idleGraceMs = 0;
  /** The 'close' listener of every response: one function for all. */
  private readonly ended: (this: ServerResponse) => void;

  /**
   * @param onSlow called for an HTTP/2 request whose body did not arrive in time; for HTTP/1 Node emits 'clientError'
   * @param answers called before all listeners of 'request'; true if it has answered
   * @param onBadUpgrade called in place of the listeners for an upgrade request with a malformed head
   */
  constructor(
    private readonly server: Server,
    private readonly isGiven: boolean,
    onSlow: (req: IncomingMessage, res: ServerResponse) => void,
    private readonly answers: (req: IncomingMessage, res: ServerResponse) => boolean,
    private readonly onBadUpgrade: (line: Line, fault: HeadFault) => void,
  ) {
    const connections = this;
    this.ended = function ended() {
      connections.end(this);
    };
    this.sessions = new Sessions(server, onSlow);
    if (isTlsServer(server)) {
      server.on("connection", (socket: Socket) => {
        this.greeting.add(socket);
        socket.on("close", () => this.greeting.delete(socket));
      });
      server.on("secureConnection", (socket: TLSSocket) => {
        this.greeting.delete(below(socket));
        if (socket.alpnProtocol === "h2") return;
        this.add(socket);
      });
    } else {
      server.on("connection", (socket: Socket) => this.add(socket));
    }
    this.watchRequests(server);
  }

  /**
   * Patches `emit`, because socket.io removes the listeners of 'request' and answers in their place. A listener of
   * 'upgrade' would not do either: with one, Node emits 'upgrade' for each request that has the header.
   */
  private watchRequests(server: Server): void {
    const emit = server.emit as (name: string, ...args: unknown[]) => boolean;
    let expecting: WeakSet<ServerResponse> | undefined;
    server.emit = (name: string, ...args: unknown[]) => {
      switch (name) {
        case "checkContinue":
        case "checkExpectation":
          if (!this.begin(args[0] as IncomingMessage, args[1] as ServerResponse)) return true;
          (expecting ??= new WeakSet()).add(args[1] as ServerResponse);
          break;
        case "request": {
          const [req, res] = args as [IncomingMessage, ServerResponse];
          const isKnown = expecting?.has(res) === true; // the program's own listener has emitted it again
          if ((!isKnown && !this.begin(req, res)) || this.answers(req, res)) return true;
          break;
        }
        case "upgrade":
        case "connect": {
          const [req, socket] = args as [IncomingMessage, Socket];
          const line = this.lines.get(req.socket);
          if (line === undefined) break;
          const fault = name === "upgrade" ? checkHead(req) : undefined; // CONNECT has a target of another form
          if (fault !== undefined) {
            this.onBadUpgrade(line, fault);
            return true;
          }
          line.upgraded = true;
          watchTakeOver(req, undefined);
          return upgradeInScope(req, socket, () => emit.call(server, name, ...args));
        }
      }
      return emit.call(server, name, ...args);
    };
  }

  /** Records a request; false if it came after the connection's last response, or if the client has left. */
  private begin(req: IncomingMessage, res: ServerResponse): boolean {
    if (isHttp2(req)) return this.sessions.begin(req, res);
    if (isClosing(req.socket)) return false;
    // A given server may have accepted the connection before `serve` was called.
    if (this.isGiven && peek(req.socket, "server") === this.server && !this.lines.has(req.socket))
      this.add(req.socket);
    const line = this.lines.get(req.socket);
    if (line === undefined) return true; // a connection from elsewhere: `server.emit("request", ...)`
    if (line.closing) return false;
    if (line.responses.length > 0) notePipelined(res);
    line.responses.push(res);
    res.on("close", this.ended);
    if (this.draining) beforeHead(res, closeIfLast, line);
    return true;
  }

  /** The responses under way. */
  *responses(): Iterable<ServerResponse> {
    for (const { responses } of this.lines.values()) yield* responses;
    yield* this.sessions.responses();
  }

  /** Whether a reset of all connections would lose a response or end an upgraded connection. */
  areBusy(): boolean {
    for (const { responses, upgraded } of this.lines.values()) {
      if (upgraded || responses.length > 0) return true;
    }
    return this.sessions.areBusy();
  }

  /** From now on every connection ends after its current or its next response. */
  drain(idleGraceMs: number): void {
    this.draining = true;
    this.idleGraceMs = idleGraceMs;
    for (const line of this.lines.values()) {
      for (const res of line.responses) if (!res.headersSent) beforeHead(res, closeIfLast, line);
    }
    this.sessions.drain();
  }

  /** Ends the connections without a response under way: idle, unused, or with half of a request's head. */
  closeIdle(): void {
    this.graceIsOver = true;
    for (const line of this.lines.values()) {
      if (line.responses.length === 0 && !line.upgraded) closeNow(line);
    }
    this.sessions.closeIdle();
    for (const socket of this.greeting) socket.destroy();
  }

  /** Resets what is left, so that no client takes a response for complete. */
  cut(): void {
    for (const { socket, responses, upgraded } of this.lines.values()) {
      if (upgraded || responses.length > 0) reset(socket);
      else socket.destroy();
    }
    this.sessions.cut();
    for (const socket of this.greeting) socket.destroy();
  }

  private add(socket: Socket): void {
    const line: Line = {
      socket,
      responses: [],
      closing: false,
      upgraded: false,
      unread: undefined,
      refusal: undefined,
    };
    this.lines.set(socket, line);
    socket.on("close", () => this.lines.delete(socket));
  }

  private end(res: ServerResponse): void {
    const line = this.lines.get(res.req.socket);
    const at = line === undefined ? -1 : line.responses.indexOf(res);
    if (line === undefined || at === -1) return;
    line.responses.splice(at, 1);
    line.unread = res.req.complete ? undefined : res.req;
    if (line.refusal !== undefined) line.refusal();
    // Within the grace it is idle like any other: its client may have sent the next request already.
    else if (this.graceIsOver && line.responses.length === 0 && !line.upgraded) {
      if (res.shouldKeepAlive && res.req.complete) this.closeLater(line);
      else endAfter(res.req);
    }
  }

  /** Its last head was sent before the shutdown: the client may still be sending its next request. */
  private closeLater(line: Line): void {
    const close = () => {
      if (line.responses.length === 0 && !line.socket.destroyed) closeNow(line);
    };
    setTimeout(afterReading, this.idleGraceMs, close).unref();
  }
}

function closeNow({ socket, unread }: Line): void {
  if (unread !== undefined && !unread.complete) endAfter(unread);
  // A socket that is no longer writable is still sending its last response.
  else if (socket.writable || socket.writableFinished) socket.destroy();
}

/**
 * Calls `action` after the data that has arrived was read. On a busy machine a late timer runs before that, and closing
 * a connection with unread data would reset it. In a worker, a connection from the primary is first read one turn later.
 */
export function afterReading(action: () => void): void {
  setImmediate(setImmediate, action);
}

/** Adds `Connection: close` to the newest response of a connection, when its head is written. */
function closeIfLast(res: ServerResponse, line: Line): void {
  if (line.responses.at(-1) !== res) return;
  line.closing = true;
  res.setHeader("Connection", "close");
  lingerAfter(res.req);
}

export function isTlsServer(server: Server): boolean {
  return server instanceof process.getBuiltinModule("node:tls").Server;
}

/** The TCP socket of a TLS socket. */
function below(socket: TLSSocket): Socket {
  return (socket as unknown as { readonly _parent?: Socket })._parent ?? socket;
}
