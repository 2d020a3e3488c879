import { onEnd } from "../lib/response/end-hooks.js";
import { isBegun, mustClose, replaceResponse } from "../lib/response/replace.js";
import { isEventStream } from "../lib/response/write.js";
import { stop, type Watch } from "./watch.js";

/** Starts the timer of the deadline. Some of the time has passed already. */
export function startDeadline(watch: Watch, startedMs: number): void {
  const { ms } = watch.plan;
  watch.dueMs = startedMs + ms;
  const leftMs = ms - Math.floor(performance.now() - startedMs);
  watch.deadline = setTimeout(expire, Math.min(Math.max(leftMs, 1), ms), watch).unref(); // a test may set the clock back
  onEnd(watch.req, watch.res, stop, watch);
}

/** The response has not begun in time: answers the client and aborts the request's signal. */
function expire(watch: Watch): void {
  const { req, res, state, plan, outer } = watch;
  // If the outer deadline is due too, let it answer: the inner timer was started first, so it fires first.
  if (outer !== undefined && !outer.hasExpired && outer.dueMs <= watch.dueMs) expire(outer);
  watch.hasExpired = true;
  // With `late`, another answer has replaced the response: an outer deadline's, or that of `bodyLimit`.
  if (isBegun(watch) || state.late !== undefined || res.destroyed || req.socket?.destroyed) return;
  if (state.rendering) return; // the status is decided, and the wait for `render` has a limit of its own
  if (res.headersSent && isEventStream(res) && flushHead(watch)) return;
  watch.markTimedOut();
  state.refused = { by: "timeout", reason: "deadline" };
  replaceResponse(watch, plan.status, plan.message, mustClose(req), "timeout");
  watch.abort("the response has not begun", plan.ms);
}

/** Sends the head of an event stream: it has begun, although Node keeps the head until the first event. */
function flushHead({ res }: Watch): boolean {
  try {
    res.flushHeaders();
    return true;
  } catch {
    return false; // Node refuses the head, or a patch of the app threw
  }
}
