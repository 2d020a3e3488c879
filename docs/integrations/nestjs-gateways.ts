import { IoAdapter } from "@nestjs/platform-socket.io";
import { WsAdapter } from "@nestjs/platform-ws";
import type { Express } from "express";
import { contextOf, type RequestLogOptions, requestContext, requestLog, type Served } from "express-portico";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";

/**
 * For gateways on ws: a handshake is a request of the app, so it passes `before`, and has a record in the log. A socket is closed
 * when the server begins to close.
 */
export class GatewayAdapter extends WsAdapter {
  constructor(private readonly app: Express) {
    super();
  }

  override create(_port: number, { path = "/", ...options }: ServerOptions = {}): WebSocketServer {
    const sockets: WebSocketServer = this.bindErrorHandler(
      new WebSocketServer({ ...options, noServer: true }),
    );
    this.app.get(path, (req, _res, next) => {
      if (req.headers.upgrade === undefined) return next();
      const { closing } = contextOf(req);
      sockets.handleUpgrade(req, req.socket, Buffer.alloc(0), (socket: WebSocket) => {
        closing.addEventListener("abort", () => socket.close(1001, "The server is closing"));
        sockets.emit("connection", socket, req);
      });
    });
    return sockets;
  }
}

/** For gateways on socket.io. Its requests do not reach the app: they get an id and a record here. */
export class SocketIoAdapter extends IoAdapter {
  private readonly servers: ReturnType<IoAdapter["createIOServer"]>[] = [];

  constructor(private readonly log: RequestLogOptions = {}) {
    super();
  }

  override createIOServer(_port: number, options?: Parameters<IoAdapter["createIOServer"]>[1]) {
    const sockets = super.createIOServer(undefined as never, options); // `attach` gives it the server
    this.servers.push(sockets);
    return sockets;
  }

  /** To be called with what `start` returns. */
  attach({ server, closing }: Served): void {
    for (const sockets of this.servers) {
      sockets.attach(server as Parameters<typeof sockets.attach>[0]);
      sockets.engine.use(requestContext());
      sockets.engine.use(requestLog(this.log));
      closing.addEventListener("abort", () => sockets.disconnectSockets(true));
    }
  }
}
