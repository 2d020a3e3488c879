import type { ServerResponse } from "node:http";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { isHttp2, isServed } from "../lib/request/transport.js";
import { isClosing, reset, truncate, uncorkAll } from "../lib/response/close.js";
import { discardLate } from "../lib/response/discard.js";
import { beforeHead, onEnd } from "../lib/response/hooks.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { headersOf, restore } from "../lib/response/snapshot.js";
import { isEventStream } from "../lib/response/write.js";
import { describeThrown } from "../lib/values/thrown.js";
import { addAgain } from "./added.js";
import { isBegun, takeHeadBack } from "./begun.js";
import { stop, type Watch } from "./watch.js";

/** Bounds the time until the response begins, of which some has passed already. */
export function startDeadline(watch: Watch, startedMs: number): void {
  const { ms } = watch.plan;
  watch.dueMs = startedMs + ms;
  const leftMs = ms - Math.floor(performance.now() - startedMs);
  watch.deadline = setTimeout(expire, Math.min(Math.max(leftMs, 1), ms), watch).unref(); // a test may set the clock back
  onEnd(watch.req, watch.res, stop, watch);
}

/** The response has not begun in time: the client is answered, and the handler is told. */
function expire(watch: Watch): void {
  const { req, res, state, plan, outer } = watch;
  // Their timers are set from the inside out: of two that are due in the same millisecond, the wrong one comes first.
  if (outer !== undefined && !outer.isDue && outer.dueMs <= watch.dueMs) expire(outer);
  watch.isDue = true;
  if (isBegun(watch) || state.timedOut || res.destroyed || req.socket?.destroyed) return;
  if (res.headersSent && isEventStream(res) && flushed(res)) return;
  watch.giveUp();
  state.answering = true;
  state.refused = { by: "timeout", reason: "deadline" };
  try {
    uncorkAll(res);
    takeHeadBack(watch);
    restore(res, watch.before);
    beforeHead(res, keep, watch);
    answerProblem(req, res, plan.status, { detail: plan.message }, { close: mustClose(watch) });
  } catch (fault) {
    // A hook or a patch of somebody's own: whatever it has left of the response, the client is not kept waiting.
    stderrLogger.error({ error: describeThrown(fault) }, "timeout: the answer could not be sent");
    state.truncated = true;
    if (res.headersSent || !isServed(req, res)) truncate(res);
    else reset(req.socket);
  }
  watch.answer = undefined;
  discardLate(res);
  watch.tell("the response has not begun", plan.ms);
}

/** An event stream that has a head has begun: that Node keeps it for the first event says nothing. */
function flushed(res: ServerResponse): boolean {
  try {
    res.flushHeaders();
    return true;
  } catch {
    return false; // a head that Node refuses, or a patch of somebody's own
  }
}

/** Registered last, so it runs first: these are the headers that the answer was given, before any inner hook. */
function keep(res: ServerResponse, watch: Watch): void {
  if (watch.added !== undefined) addAgain(res, watch.added);
  watch.answer = headersOf(res);
}

/**
 * The connection is kept if the request has come whole. Else its upload has stalled, or nobody has read it: not much
 * is to be expected of it. An HTTP/2 stream ends alone.
 */
function mustClose({ req }: Watch): boolean {
  return !isHttp2(req) && (!req.complete || isClosing(req.socket));
}
