import type { Socket } from "node:net";

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
