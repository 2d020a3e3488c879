import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { knownState, stateOf } from "../request/state.js";
import { isEndedHere, isHttp2 } from "../request/transport.js";
import { peek } from "../values/thrown.js";
import { isFinished } from "./end-hooks.js";
import { SWITCHED } from "./take-over.js";

/**
 * How a response ended: all of it was passed to the operating system ("complete" does not mean that the client has received
 * it); the client left; the server truncated it; or the connection was upgraded (WebSocket).
 */
export type Outcome = "complete" | "aborted" | "truncated" | "upgraded";

/** Error codes for a client that left. All other errors that end a response early are the server's. */
const LEFT = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ETIMEDOUT", "ERR_STREAM_PREMATURE_CLOSE"]);

/**
 * The outcome of a response that has ended; to be called in `onEnd`.
 *
 * @param socket the request's socket, as it was when the request came
 */
export function outcomeOf(
  req: IncomingMessage,
  res: ServerResponse,
  socket: Socket | undefined = req.socket,
): Outcome {
  const stream = isHttp2(req) ? peek(res, "stream") : undefined;
  // When a client resets an HTTP/2 stream, Node ends its writing side, so that the stream counts as finished.
  if (isFinished(res) && (stream === undefined || peek(stream, "aborted") !== true)) return "complete";
  const { truncated, takenOver } = stateOf(req);
  if (takenOver !== undefined && takenOver > 0) return takenOver === SWITCHED ? "upgraded" : "complete";
  if (truncated || (typeof stream === "object" && stream !== null && isEndedHere(stream))) return "truncated";
  const fault = res.errored ?? socket?.errored ?? peek(stream, "errored");
  if (fault !== undefined && fault !== null) return isLeaving(fault) ? "aborted" : "truncated";
  if (isHttp2(req) || socket === undefined) return "aborted";
  // No error: either the client's FIN was read, or the server called `destroy()`.
  return socket.readableEnded || !socket.destroyed ? "aborted" : "truncated";
}

/**
 * The status for the log: the one that was sent. If none was sent, `res.statusCode` still says 200; so it is 499 if the
 * client left, 500 if the request failed, 444 if the server dropped the request without an error.
 */
export function finalStatus(res: ServerResponse, outcome: Outcome, failed: boolean): number {
  if (outcome === "upgraded") return SWITCHED;
  if (!res.headersSent && outcome === "complete") return writtenStatus(res) ?? res.statusCode;
  if (res.headersSent || outcome === "complete") return res.statusCode;
  if (outcome === "aborted") return 499;
  return failed ? 500 : 444;
}

/** The status that an app has written to the connection itself, to refuse an upgrade. */
function writtenStatus(res: ServerResponse): number | undefined {
  return (res.req && knownState(res.req)?.takenOver) || undefined;
}

/** The error for which the server did not complete the response, if there was one. */
export function faultOf(res: ServerResponse, socket: Socket | undefined): unknown {
  const fault = res.errored ?? socket?.errored ?? peek(peek(res, "stream"), "errored");
  return fault === null || fault === undefined || isLeaving(fault) ? undefined : fault;
}

/** Whether an error of a connection shows that the client has left. */
export function isLeaving(fault: unknown): boolean {
  const code = peek(fault, "code");
  // HPE_* and ERR_HTTP_*: the client has sent something invalid, or has not sent it in time.
  return typeof code === "string" && (LEFT.has(code) || /^(?:HPE_|ERR_HTTP2?_)/.test(code));
}
