import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { upgradeInScope } from "../lib/request/scope.js";
import { isHttp2 } from "../lib/request/transport.js";
import { endConnection, isClosing, lingerOnClose, notePipelined, reset } from "../lib/response/close.js";
import { beforeHead } from "../lib/response/intercept.js";
import { watchTakeOver } from "../lib/response/take-over.js";
import { peek } from "../lib/values/thrown.js";
import { Sessions } from "./http2/sessions.js";
import type { Server } from "./options.js";
import { checkHead, type HeadProblem } from "./request-head.js";
import { afterReading, tcpSocketOf } from "./sockets.js";

/** One HTTP/1 connection. */
export interface Connection {
  readonly socket: Socket;
  /** The responses under way, oldest first: a client may send several requests before the first answer (pipelining). */
  readonly responses: ServerResponse[];
  /** A response has said `Connection: close`: no later request is processed (RFC 9112 section 9.6). */
  closing: boolean;
  /** It has switched to another protocol (WebSocket): the program that took it over ends it. */
  upgraded: boolean;
  /** The last answered request, if its body is not read to its end. */
  unread: IncomingMessage | undefined;
  /** Set after a client error and called after each response: answers the error when its turn has come. */
  answerClientError: (() => void) | undefined;
}

/** The connections of a server, and the responses under way on each. */
export class Connections {
  readonly bySocket = new Map<Socket, Connection>();
  readonly sessions: Sessions;
  /** Sockets whose TLS handshake is not yet done. */
  private readonly handshaking = new Set<Socket>();
  private draining = false;
  private closesIdle = false;
  private idleGraceMs = 0;
  /** The 'close' listener of every response: one function for all. */
  private readonly onResponseClose: (this: ServerResponse) => void;

  /**
   * @param isGiven whether the program has made the server (`serve`'s option `server`)
   * @param onSlow called for an HTTP/2 request whose body did not arrive in time; for HTTP/1 Node emits 'clientError'
   * @param answerBeforeApp called before all listeners of 'request'; true if it has answered
   * @param onBadUpgrade called for an upgrade request with a malformed head, in place of the listeners
   */
  constructor(
    private readonly server: Server,
    private readonly isGiven: boolean,
    onSlow: (req: IncomingMessage, res: ServerResponse) => void,
    private readonly answerBeforeApp: (req: IncomingMessage, res: ServerResponse) => boolean,
    private readonly onBadUpgrade: (connection: Connection, problem: HeadProblem) => void,
  ) {
    const connections = this;
    this.onResponseClose = function onResponseClose() {
      connections.untrack(this);
    };
    this.sessions = new Sessions(server, onSlow);
    if (isTlsServer(server)) {
      server.on("connection", (socket: Socket) => {
        this.handshaking.add(socket);
        socket.on("close", () => this.handshaking.delete(socket));
      });
      server.on("secureConnection", (socket: TLSSocket) => {
        this.handshaking.delete(tcpSocketOf(socket));
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
    let continued: WeakSet<ServerResponse> | undefined;
    server.emit = (name: string, ...args: unknown[]) => {
      switch (name) {
        case "checkContinue":
        case "checkExpectation":
          if (!this.track(args[0] as IncomingMessage, args[1] as ServerResponse)) return true;
          (continued ??= new WeakSet()).add(args[1] as ServerResponse);
          break;
        case "request": {
          const [req, res] = args as [IncomingMessage, ServerResponse];
          const isKnown = continued?.has(res) === true; // the program's own listener has emitted it again
          if ((!isKnown && !this.track(req, res)) || this.answerBeforeApp(req, res)) return true;
          break;
        }
        case "upgrade":
        case "connect": {
          const [req, socket] = args as [IncomingMessage, Socket];
          const connection = this.bySocket.get(req.socket);
          if (connection === undefined) break;
          const problem = name === "upgrade" ? checkHead(req) : undefined; // CONNECT has a target of another form
          if (problem !== undefined) {
            this.onBadUpgrade(connection, problem);
            return true;
          }
          connection.upgraded = true;
          watchTakeOver(req, undefined);
          return upgradeInScope(req, socket, () => emit.call(server, name, ...args));
        }
      }
      return emit.call(server, name, ...args);
    };
  }

  /** Records a request; false if its connection is closing, or (HTTP/2) if its client has left. */
  private track(req: IncomingMessage, res: ServerResponse): boolean {
    if (isHttp2(req)) return this.sessions.track(req, res);
    if (isClosing(req.socket)) return false;
    // A given server may have accepted the connection before `serve` was called.
    if (this.isGiven && peek(req.socket, "server") === this.server && !this.bySocket.has(req.socket))
      this.add(req.socket);
    const connection = this.bySocket.get(req.socket);
    if (connection === undefined) return true; // a connection from elsewhere: `server.emit("request", ...)`
    if (connection.closing) return false;
    if (connection.responses.length > 0) notePipelined(res);
    connection.responses.push(res);
    res.on("close", this.onResponseClose);
    if (this.draining) beforeHead(res, closeIfLast, connection);
    return true;
  }

  /** The responses under way. */
  *responses(): Iterable<ServerResponse> {
    for (const { responses } of this.bySocket.values()) yield* responses;
    yield* this.sessions.responses();
  }

  /** Whether a reset of all connections would lose a response or end an upgraded connection. */
  isBusy(): boolean {
    for (const { responses, upgraded } of this.bySocket.values()) {
      if (upgraded || responses.length > 0) return true;
    }
    return this.sessions.isBusy();
  }

  /** From now on every connection ends after its current or its next response. */
  drain(idleGraceMs: number): void {
    this.draining = true;
    this.idleGraceMs = idleGraceMs;
    for (const connection of this.bySocket.values()) {
      for (const res of connection.responses) if (!res.headersSent) beforeHead(res, closeIfLast, connection);
    }
    this.sessions.drain();
  }

  /** Ends the connections without a response under way: idle, unused, or with half of a request's head. */
  closeIdle(): void {
    this.closesIdle = true;
    for (const connection of this.bySocket.values()) {
      if (connection.responses.length === 0 && !connection.upgraded) closeNow(connection);
    }
    this.sessions.closeIdle();
    for (const socket of this.handshaking) socket.destroy();
  }

  /** Fulfilled when each destroyed socket has emitted 'close': Node's server emits its own 'close' earlier. */
  async closed(): Promise<void> {
    const ending = [...this.bySocket.keys()].filter((socket) => socket.destroyed);
    await Promise.all(
      ending.map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()))),
    );
  }

  /** Resets what is left, so that no client takes a response for complete. */
  resetAll(): void {
    for (const { socket, responses, upgraded } of this.bySocket.values()) {
      if (upgraded || responses.length > 0) reset(socket);
      else socket.destroy();
    }
    this.sessions.resetAll();
    for (const socket of this.handshaking) socket.destroy();
  }

  private add(socket: Socket): void {
    const connection: Connection = {
      socket,
      responses: [],
      closing: false,
      upgraded: false,
      unread: undefined,
      answerClientError: undefined,
    };
    this.bySocket.set(socket, connection);
    socket.on("close", () => this.bySocket.delete(socket));
  }

  private untrack(res: ServerResponse): void {
    const connection = this.bySocket.get(res.req.socket);
    const at = connection === undefined ? -1 : connection.responses.indexOf(res);
    if (connection === undefined || at === -1) return;
    connection.responses.splice(at, 1);
    connection.unread = res.req.complete ? undefined : res.req;
    if (connection.answerClientError !== undefined) connection.answerClientError();
    // Before `closeIdle` it is kept, like any idle connection: its client may have sent the next request already.
    else if (this.closesIdle && connection.responses.length === 0 && !connection.upgraded) {
      if (res.shouldKeepAlive && res.req.complete) this.closeLater(connection);
      else endConnection(res.req);
    }
  }

  /** Closes it after `idleGraceMs`: its last head had no `Connection: close`, so a next request may be on its way. */
  private closeLater(connection: Connection): void {
    const close = () => {
      if (connection.responses.length === 0 && !connection.socket.destroyed) closeNow(connection);
    };
    setTimeout(afterReading, this.idleGraceMs, close).unref();
  }
}

function closeNow({ socket, unread }: Connection): void {
  if (unread !== undefined && !unread.complete) endConnection(unread);
  // Otherwise the socket was ended, and is still sending its last response.
  else if (socket.writable || socket.writableFinished) socket.destroy();
}

/** Adds `Connection: close` to the newest response of a connection, when its head is written. */
function closeIfLast(res: ServerResponse, connection: Connection): void {
  if (connection.responses.at(-1) !== res) return;
  connection.closing = true;
  res.setHeader("Connection", "close");
  lingerOnClose(res.req);
}

export function isTlsServer(server: Server): boolean {
  return server instanceof process.getBuiltinModule("node:tls").Server;
}
