import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Logger } from "../lib/log/logger.js";
import { stateOf } from "../lib/request/state.js";
import { isHttp2 } from "../lib/request/transport.js";
import { truncate } from "../lib/response/close.js";
import { send } from "../lib/response/send.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import type { Connections, Line, Server } from "./connections.js";
import { endSoftly } from "./linger.js";
import type { HeadFault } from "./request-head.js";

/** What a request that Node's parser refuses is answered with. */
const STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** The client went away in mid-request: there is nobody to refuse anything to. */
const LEFT = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ETIMEDOUT"]);

const MESSAGE = "a request was refused before it reached the app";

/**
 * Requests that never become one: no handler and no request log sees them, so they are answered and logged here.
 * What is under way on the connection is finished first: an answer out of turn would pass for that of another request.
 */
export function answerRefused(server: Server, connections: Connections, logger: Logger): void {
  const known = new WeakSet<Socket>();

  function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    if (known.has(socket)) return; // Node goes on to complain, of every packet that still comes
    known.add(socket);
    const line = connections.lines.get(socket);
    const code = String(peek(error, "code") ?? "");
    const newest = line?.responses.at(-1);
    const hasEnded = code === "HPE_INVALID_EOF_STATE"; // libuv also tells so of resets
    if (LEFT.has(code) || (hasEnded && newest?.req.complete === false)) {
      socket.destroy();
    } else if (line === undefined) {
      logger.warn(described(error, peerOf(socket)), "a TLS handshake failed");
      socket.destroy(); // it has not come so far as to speak HTTP
    } else if (socket.writable && !isSilent(code, socket, newest)) {
      const status = STATUS[code] ?? 400;
      if (!hasEnded) logger.warn({ status, ...described(error, peerOf(socket)) }, MESSAGE);
      line.closing = true;
      line.refusal = () => refuse(line, newest, status);
      line.refusal();
    } else {
      endSoftly(socket); // nothing can be said any more, or nothing was asked
    }
  }

  server.on("clientError", onClientError);
  server.on("tlsClientError", onClientError); // which only HTTPS takes for the first
  // Asked now, they are known also when the connection is gone.
  server.on("connection", peerOf);
  const peers = new WeakMap<ServerHttp2Session, string>();
  server.on("session", (session: ServerHttp2Session) => peers.set(session, peerOf(session.socket)));
  server.on("sessionError", (error: NodeJS.ErrnoException, session: ServerHttp2Session) => {
    if (LEFT.has(String(error.code))) return;
    logger.warn(described(error, peers.get(session) ?? "-"), "an HTTP/2 session failed");
  });
}

/** Refuses a request that Node's parser has let pass. */
export function refuseParsed(
  req: IncomingMessage,
  res: ServerResponse,
  fault: HeadFault,
  logger: Logger,
): void {
  logger.warn({ ...fault, remoteAddress: peerOf(req.socket) }, MESSAGE);
  // The session of HTTP/2 is sound: the other streams are none of this one's business.
  send(req, res, fault.status, undefined, "", isHttp2(req) ? {} : { close: true });
}

/** The same for a request to upgrade, which has no response: its connection ends, after the answers before it. */
export function refuseUpgrade(line: Line, fault: HeadFault, logger: Logger): void {
  const { socket, responses } = line;
  logger.warn({ ...fault, remoteAddress: peerOf(socket) }, MESSAGE);
  line.closing = true;
  line.refusal = () => {
    if (responses.length === 0) say(socket, fault.status);
  };
  line.refusal();
}

/** Ends a request of HTTP/2 whose body has not come in time: Node has no limit for it. */
export function refuseSlow(req: IncomingMessage, res: ServerResponse, logger: Logger): void {
  const code = "ERR_HTTP_REQUEST_TIMEOUT";
  const status = STATUS[code]!;
  logger.warn({ status, code, reason: "Request timeout", remoteAddress: peerOf(req.socket) }, MESSAGE);
  if (res.headersSent) {
    stateOf(req).truncated = true;
    truncate(res);
  } else {
    send(req, res, status, undefined, "");
  }
}

/** A browser opens connections in advance: one on which nothing ever came did not ask for anything. */
function isSilent(code: string, socket: Socket, newest: ServerResponse | undefined): boolean {
  return code === "ERR_HTTP_REQUEST_TIMEOUT" && newest === undefined && socket.bytesRead === 0;
}

/** @param newest the last request that came so far as to have a response when the client's fault was seen */
function refuse(
  { socket, responses, unread }: Line,
  newest: ServerResponse | undefined,
  status: number,
): void {
  if (unread !== undefined && !unread.complete) {
    endSoftly(socket); // it is the rest of a body that was at fault, and its request has its answer
  } else if (newest === undefined || newest.req.complete) {
    if (responses.length === 0) say(socket, status);
  } else if (!responses.includes(newest)) {
    endSoftly(socket); // it is its body that was at fault, and it has its answer
  } else if (responses[0] === newest && !newest.writableEnded) {
    // Its end will never come.
    if (newest.headersSent) truncate(newest);
    else send(newest.req, newest, status, undefined, "", { close: true });
  }
}

function say(socket: Socket, status: number): void {
  if (!socket.writable) return;
  const { STATUS_CODES } = process.getBuiltinModule("node:http");
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
  socket.write(head);
  endSoftly(socket);
}

function described(error: unknown, remoteAddress: string): object {
  return { code: String(peek(error, "code") ?? ""), reason: describeThrown(error).message, remoteAddress };
}

function peerOf(socket: unknown): string {
  // Of a TLS socket that is already gone only the one below still knows.
  const address = peek(socket, "remoteAddress") ?? peek(peek(socket, "_parent"), "remoteAddress");
  return typeof address === "string" ? address.replace(/^::ffff:/, "") : "-";
}
