// What `serve` gives goes where ws and socket.io take a server. Checked by `npm run typecheck`.
import express from "express";
import { serve } from "express-portico";
import { Server as SocketIoServer } from "socket.io";
import { WebSocketServer } from "ws";

export async function start(): Promise<void> {
  const { server } = await serve(express(), { port: 0, tls: { key: "", cert: "" } });
  new WebSocketServer({ server });
  new SocketIoServer(server);
  const sockets = new WebSocketServer({ noServer: true });
  server.on("upgrade", (req, socket, head) => {
    sockets.handleUpgrade(req, socket, head, (ws) => ws.close());
  });
}
