import { isHttp2 } from "../lib/request/transport.js";
import { sentBytes } from "../lib/response/byte-count.js";
import { truncate } from "../lib/response/close.js";
import { isEventStream } from "../lib/response/write.js";
import { peek } from "../lib/values/thrown.js";
import { isBegun } from "./begun.js";
import type { Watch } from "./watch.js";

/** Looks per `idleMs`: a pause is found after it has lasted `idleMs`, and at most a quarter longer. */
const LOOKS = 4;

/** The head is about to be written: from here on the body is bounded, unless it is one that has no end. */
export function beginBody(watch: Watch): void {
  const { plan, res } = watch;
  if (watch.begun || (plan.idleMs === undefined && plan.totalMs === undefined)) return;
  watch.begun = true;
  if (isEventStream(res)) clearTimeout(watch.total);
  else if (plan.idleMs !== undefined) {
    watch.progress = progressOf(watch);
    watch.idle = setTimeout(look, Math.ceil(plan.idleMs / LOOKS), watch).unref();
  }
}

function look(watch: Watch): void {
  const progress = progressOf(watch);
  // A pipelined response has no socket before its turn: that it waits is not its fault.
  const moves = progress !== watch.progress || watch.res.socket === null || isForDeadline(watch);
  watch.progress = progress;
  watch.still = moves ? 0 : watch.still + 1;
  if (watch.still < LOOKS) watch.idle?.refresh();
  else cut(watch, "idle", "no byte of the response has left", watch.plan.idleMs!);
}

/** The head was written, and not sent: it may still be taken back. */
function isForDeadline(watch: Watch): boolean {
  return !watch.isDue && !isBegun(watch);
}

/**
 * Changes when bytes leave. What the handler writes onto a pile that the client does not take is no progress; a large
 * piece that the client takes slowly is.
 */
function progressOf({ req, res }: Watch): string {
  const { socket } = res;
  if (socket === null || socket === undefined) return "";
  if (!isHttp2(req)) {
    // What has been taken whole, and of the piece that is being taken, how much waits in the system's queue.
    const taken = socket.bytesWritten - socket.writableLength;
    return `${taken} ${String(peek(peek(socket, "_handle"), "writeQueueSize"))}`;
  }
  const waiting = res.writableLength;
  const taken = (sentBytes(res) ?? 0) - waiting;
  // Within one piece, only what the whole session sends can be seen.
  return waiting === 0 ? `${taken}` : `${taken} ${socket.bytesWritten}`;
}

export function cutWhole(watch: Watch): void {
  if (watch.res.headersSent) cut(watch, "total", "the response has not ended", watch.plan.totalMs!);
}

/** A begun response is cut so that its client can see that it is not whole. */
function cut(watch: Watch, reason: "idle" | "total", what: string, ms: number): void {
  if (watch.res.destroyed || watch.res.closed) return;
  watch.giveUp();
  watch.state.truncated = true;
  watch.state.refused = { by: "timeout", reason };
  truncate(watch.res);
  watch.tell(what, ms);
}
