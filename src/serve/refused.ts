import type { Socket } from "node:net";
import type { Logger } from "../config/logger.js";
import { describeThrown, peek } from "../http/thrown.js";
import type { Connections, Line, Server } from "./connections.js";

/** What a request that Node's parser refuses is answered with. */
const STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** The client went away in mid-request: there is nobody to refuse anything to. */
const LEFT = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ETIMEDOUT"]);

const LINGER_MS = 500;

/**
 * Requests that never become one: no handler and no request log sees them, so they are answered and logged here.
 * What is under way on the connection is finished first: an answer out of turn would pass for that of another request.
 */
export function answerRefused(server: Server, connections: Connections, logger: Logger): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const code = String(peek(error, "code") ?? "");
    if (LEFT.has(code) || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = STATUS[code] ?? 400;
    const { remoteAddress } = socket;
    logger.warn(
      {
        status,
        code,
        reason: describeThrown(error).message,
        remoteAddress: remoteAddress?.replace(/^::ffff:/, "") ?? "-",
      },
      "a request was refused before it reached the app",
    );
    refuse(connections.lines.get(socket), socket, status);
  });
}

function refuse(line: Line | undefined, socket: Socket, status: number): void {
  const newest = line?.responses.at(-1);
  if (line === undefined || newest === undefined) {
    say(socket, status);
    return;
  }
  line.closing = true;
  if (newest.req.complete) {
    line.whenIdle = () => say(socket, status);
  } else if (line.responses.length === 1 && !newest.headersSent) {
    say(socket, status); // the body of the only request is at fault
  } else {
    socket.destroy();
  }
}

function say(socket: Socket, status: number): void {
  if (!socket.writable) return;
  const { STATUS_CODES } = process.getBuiltinModule("node:http");
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
  socket.end(head);
  // Read on for a while: to close at once, with unread bytes, would reset the connection and lose the answer.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}
