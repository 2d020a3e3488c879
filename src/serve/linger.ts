import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { dropBody } from "../lib/response/close.js";
import { DEFAULT_LINGER_MS } from "../lib/response/send.js";

/**
 * Lingering close (RFC 9112 section 9.6): to close at once, with bytes of the client's unread, would reset the
 * connection, and could take the answer from the client's hands. So what still comes is read for a while, and dropped.
 */
export function endSoftly(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.writable) socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), DEFAULT_LINGER_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}

/** The same for the way in which Node ends a connection after its last response, if the request is not whole by then. */
export function lingerAfter(req: IncomingMessage): void {
  if (req.complete || !req.socket) return;
  req.socket.destroySoon = () => endAfter(req);
}

/** Ends the connection of a response that has ended. */
export function endAfter(req: IncomingMessage): void {
  const { socket } = req;
  if (req.complete) {
    Object.getPrototypeOf(socket).destroySoon.call(socket); // whatever others have put in its place, for longer
    return;
  }
  dropBody(req);
  endSoftly(socket);
}
