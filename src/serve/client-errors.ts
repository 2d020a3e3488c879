import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { plainAddress } from "../lib/http/address.js";
import type { Logger } from "../lib/log/logger.js";
import { stateOf } from "../lib/request/state.js";
import { isHttp2 } from "../lib/request/transport.js";
import { linger, truncate } from "../lib/response/close.js";
import { send } from "../lib/response/send.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import type { Connection, Connections } from "./connections.js";
import type { Server } from "./options.js";
import type { HeadProblem } from "./request-head.js";

/** The status for a client error, by Node's code; 400 for all others. */
const STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Codes that mean that the client has left: no answer is possible. */
const CLIENT_LEFT = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ETIMEDOUT"]);

const MESSAGE = "a request was refused before it reached the app";

/**
 * Answers and logs client errors: what Node's parser refuses reaches no handler and no request log. The responses under
 * way on the connection finish first, because the client assigns responses to its requests by their order.
 */
export function handleClientErrors(server: Server, connections: Connections, logger: Logger): void {
  const seen = new WeakSet<Socket>();

  function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    if (seen.has(socket)) return; // Node emits it again for every packet that follows
    seen.add(socket);
    const connection = connections.bySocket.get(socket);
    const code = String(peek(error, "code") ?? "");
    const newest = connection?.responses.at(-1);
    const hasEnded = code === "HPE_INVALID_EOF_STATE"; // also after a reset
    if (CLIENT_LEFT.has(code) || (hasEnded && newest?.req.complete === false)) {
      socket.destroy();
    } else if (connection === undefined) {
      logger.warn(errorFields(error, remoteAddressOf(socket)), "a TLS handshake failed");
      socket.destroy(); // no HTTP without TLS
    } else if (socket.writable && !isUnused(code, socket, newest)) {
      const status = STATUS[code] ?? 400;
      if (!hasEnded) logger.warn({ status, ...errorFields(error, remoteAddressOf(socket)) }, MESSAGE);
      connection.closing = true;
      connection.answerClientError = () => answerClientError(connection, newest, status);
      connection.answerClientError();
    } else {
      linger(socket); // no answer is possible, or there was no request
    }
  }

  server.on("clientError", onClientError);
  server.on("tlsClientError", onClientError); // Node's HTTPS server emits it as 'clientError' too, HTTP/2 does not
  // Reads the address now, so that it is known after the connection has ended.
  server.on("connection", remoteAddressOf);
  const addresses = new WeakMap<ServerHttp2Session, string>();
  server.on("session", (session: ServerHttp2Session) =>
    addresses.set(session, remoteAddressOf(session.socket)),
  );
  server.on("sessionError", (error: NodeJS.ErrnoException, session: ServerHttp2Session) => {
    if (CLIENT_LEFT.has(String(error.code))) return;
    logger.warn(errorFields(error, addresses.get(session) ?? "-"), "an HTTP/2 session failed");
  });
}

/** Answers a malformed request that Node's parser has accepted. */
export function answerMalformed(
  req: IncomingMessage,
  res: ServerResponse,
  problem: HeadProblem,
  logger: Logger,
): void {
  logger.warn({ ...problem, remoteAddress: remoteAddressOf(req.socket) }, MESSAGE);
  // An HTTP/2 session continues: its other streams are not affected.
  send(req, res, problem.status, undefined, "", isHttp2(req) ? {} : { close: true });
}

/** The same for an upgrade request, which has no response object: the connection ends after the earlier responses. */
export function rejectUpgrade(connection: Connection, problem: HeadProblem, logger: Logger): void {
  const { socket, responses } = connection;
  logger.warn({ ...problem, remoteAddress: remoteAddressOf(socket) }, MESSAGE);
  connection.closing = true;
  connection.answerClientError = () => {
    if (responses.length === 0) writeStatus(socket, problem.status);
  };
  connection.answerClientError();
}

/** Answers an HTTP/2 request whose body did not arrive in time: Node has no limit for it. */
export function answerTimedOut(req: IncomingMessage, res: ServerResponse, logger: Logger): void {
  const code = "ERR_HTTP_REQUEST_TIMEOUT";
  const status = STATUS[code]!;
  logger.warn(
    { status, code, reason: "Request timeout", remoteAddress: remoteAddressOf(req.socket) },
    MESSAGE,
  );
  if (res.headersSent) {
    stateOf(req).truncated = true;
    truncate(res);
  } else {
    send(req, res, status, undefined, "");
  }
}

/** Whether nothing was ever sent: browsers open connections in advance. */
function isUnused(code: string, socket: Socket, newest: ServerResponse | undefined): boolean {
  return code === "ERR_HTTP_REQUEST_TIMEOUT" && newest === undefined && socket.bytesRead === 0;
}

/** @param newest the newest response of the connection at the time of the client error */
function answerClientError(
  { socket, responses, unread }: Connection,
  newest: ServerResponse | undefined,
  status: number,
): void {
  if (unread !== undefined && !unread.complete) {
    linger(socket); // the error was in the rest of a body, and its request is answered
  } else if (newest === undefined || newest.req.complete) {
    if (responses.length === 0) writeStatus(socket, status);
  } else if (!responses.includes(newest)) {
    linger(socket); // the error was in its body, and it is answered
  } else if (responses[0] === newest && !newest.writableEnded) {
    // The end of its body will never come.
    if (newest.headersSent) truncate(newest);
    else send(newest.req, newest, status, undefined, "", { close: true });
  }
}

function writeStatus(socket: Socket, status: number): void {
  if (!socket.writable) return;
  const { STATUS_CODES } = process.getBuiltinModule("node:http");
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
  socket.write(head);
  linger(socket);
}

function errorFields(error: unknown, remoteAddress: string): object {
  return { code: String(peek(error, "code") ?? ""), reason: describeThrown(error).message, remoteAddress };
}

function remoteAddressOf(socket: unknown): string {
  // After a TLS socket has ended, only the TCP socket has the address.
  const address = peek(socket, "remoteAddress") ?? peek(peek(socket, "_parent"), "remoteAddress");
  return typeof address === "string" ? plainAddress(address) : "-";
}
