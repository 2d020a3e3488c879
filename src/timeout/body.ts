import { isHttp2 } from "../lib/request/transport.js";
import { truncate } from "../lib/response/close.js";
import { sentBytes } from "../lib/response/intercept.js";
import { isBegun } from "../lib/response/replace.js";
import { isEventStream } from "../lib/response/write.js";
import { peek } from "../lib/values/thrown.js";
import type { Watch } from "./watch.js";

/** The number of checks per `idleMs`: a pause is found after `idleMs`, at most a quarter later. */
const CHECKS = 4;

/** Starts the limits of the body when the head is about to be written. Event streams have none. */
export function beginBody(watch: Watch): void {
  const { plan, res } = watch;
  if (watch.isBodyBounded || (plan.idleMs === undefined && plan.totalMs === undefined)) return;
  watch.isBodyBounded = true;
  if (isEventStream(res)) clearTimeout(watch.total);
  else if (plan.idleMs !== undefined) {
    watch.progress = progressOf(watch);
    watch.idle = setTimeout(checkProgress, Math.ceil(plan.idleMs / CHECKS), watch).unref();
  }
}

function checkProgress(watch: Watch): void {
  const progress = progressOf(watch);
  // A pipelined response has no socket until its turn: waiting for it is no pause.
  const isActive = progress !== watch.progress || watch.res.socket === null || canBeTakenBack(watch);
  watch.progress = progress;
  watch.unchanged = isActive ? 0 : watch.unchanged + 1;
  if (watch.unchanged < CHECKS) watch.idle?.refresh();
  else truncateBody(watch, "idle", "no byte of the response has left", watch.plan.idleMs!);
}

/** Whether the head was written but not sent, so that the deadline can still take it back. */
function canBeTakenBack(watch: Watch): boolean {
  return !watch.hasExpired && !isBegun(watch);
}

/**
 * A value that changes when bytes leave the process. Writing into a buffer that the client does not read is no progress.
 * When a client slowly reads a large chunk, that is progress.
 */
function progressOf({ req, res }: Watch): string {
  const { socket } = res;
  if (socket === null || socket === undefined) return "";
  if (!isHttp2(req)) {
    // The bytes of completed writes, and how much of the current write is still in libuv's queue.
    const taken = socket.bytesWritten - socket.writableLength;
    return `${taken} ${String(peek(peek(socket, "_handle"), "writeQueueSize"))}`;
  }
  const waiting = res.writableLength;
  const taken = (sentBytes(res) ?? 0) - waiting;
  // Within one chunk, only the bytes of the whole session are known.
  return waiting === 0 ? `${taken}` : `${taken} ${socket.bytesWritten}`;
}

export function truncateAtTotal(watch: Watch): void {
  if (watch.res.headersSent) truncateBody(watch, "total", "the response has not ended", watch.plan.totalMs!);
}

/** Truncates a response so that its client can see that it is not complete. */
function truncateBody(watch: Watch, reason: "idle" | "total", what: string, ms: number): void {
  if (watch.res.destroyed || watch.res.closed) return;
  watch.markTimedOut();
  watch.state.truncated = true;
  watch.state.refused = { by: "timeout", reason };
  truncate(watch.res);
  watch.abort(what, ms);
}
