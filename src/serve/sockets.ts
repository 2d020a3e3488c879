import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { dropBody } from "../lib/response/close.js";
import { DEFAULT_LINGER_MS } from "../lib/response/send.js";

/**
 * Lingering close (RFC 9112 section 9.6): closing a connection with unread data resets it, and the client could lose the
 * response. So the rest of the data is read and dropped for a while.
 */
export function lingeringClose(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.writable) socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), DEFAULT_LINGER_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}

/** Makes Node's close after the last response a lingering one, if the request's body is not complete by then. */
export function lingerOnClose(req: IncomingMessage): void {
  if (req.complete || !req.socket) return;
  req.socket.destroySoon = () => endConnection(req);
}

/** Ends the connection after a response that has ended. */
export function endConnection(req: IncomingMessage): void {
  const { socket } = req;
  if (req.complete) {
    Object.getPrototypeOf(socket).destroySoon.call(socket); // Node's own: it may have been replaced by one that lingers
    return;
  }
  dropBody(req);
  lingeringClose(socket);
}

/**
 * Calls `action` after the data that has arrived was read. On a busy machine a late timer runs before that, and closing
 * a connection with unread data would reset it. In a worker, a connection from the primary is first read one turn later.
 */
export function afterReading(action: () => void): void {
  setImmediate(setImmediate, action);
}

/** The TCP socket of a TLS socket. */
export function tcpSocketOf(socket: Socket): Socket {
  return (socket as { readonly _parent?: Socket | null })._parent ?? socket;
}
