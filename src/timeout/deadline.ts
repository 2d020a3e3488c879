import type { ServerResponse } from "node:http";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { isHttp2, isServed } from "../lib/request/transport.js";
import { isClosing, reset, truncate } from "../lib/response/close.js";
import { discardLate } from "../lib/response/discard.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { beforeHead, discardInside } from "../lib/response/intercept.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { type HeaderList, headersOf, restore } from "../lib/response/snapshot.js";
import { isEventStream, uncorkAll } from "../lib/response/write.js";
import { describeThrown } from "../lib/values/thrown.js";
import { isBegun, type Outgoing, stop, type Watch } from "./watch.js";

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
  if (isBegun(watch) || state.timedOut || res.destroyed || req.socket?.destroyed) return;
  if (res.headersSent && isEventStream(res) && flushHead(res)) return;
  watch.markTimedOut();
  state.answering = true;
  state.refused = { by: "timeout", reason: "deadline" };
  try {
    uncorkAll(res);
    takeHeadBack(watch);
    restore(res, watch.before);
    beforeHead(res, keepAnswerHeaders, watch);
    answerProblem(req, res, plan.status, { detail: plan.message }, { close: mustClose(watch) });
  } catch (fault) {
    // A hook or a patch of the app threw. Whatever the state of the response is now, the client must not wait.
    stderrLogger.error({ error: describeThrown(fault) }, "timeout: the answer could not be sent");
    state.truncated = true;
    if (res.headersSent || !isServed(req, res)) truncate(res);
    else reset(req.socket);
  }
  watch.answerHeaders = undefined;
  discardLate(res);
  watch.abort("the response has not begun", plan.ms);
}

/** Sends the head of an event stream: it has begun, although Node keeps the head until the first event. */
function flushHead(res: ServerResponse): boolean {
  try {
    res.flushHeaders();
    return true;
  } catch {
    return false; // Node refuses the head, or a patch of the app threw
  }
}

/**
 * Head hook for the timeout's answer: adds back the headers of outer code, then saves all headers. It is registered last, so
 * it runs before all other hooks.
 */
function keepAnswerHeaders(res: ServerResponse, watch: Watch): void {
  if (watch.outerHeaders !== undefined) putBack(res, watch.outerHeaders);
  watch.answerHeaders = headersOf(res);
}

/**
 * Whether to close the connection after the answer: if the request's body has not arrived in full, or the connection is
 * already closing. Never on HTTP/2, where only the stream ends.
 */
function mustClose({ req }: Watch): boolean {
  return !isHttp2(req) && (!req.complete || isClosing(req.socket));
}

/** Takes back a head that was written and not sent. */
function takeHeadBack(watch: Watch): void {
  const { req, res, headHeaders } = watch;
  if (!watch.hasHead) return;
  if (headHeaders !== undefined) watch.outerHeaders = headersAdded(headHeaders, headersOf(res));
  discardInside(res, -1); // also the interceptors outside the timeout, which have the old head
  if (typeof (res as Outgoing)._header !== "string") return;
  // Also restore the fields that Node derived from the old headers.
  Object.assign(res, {
    _header: null,
    _last: false,
    _contentLength: null,
    _defaultKeepAlive: true,
    _hasBody: req.method !== "HEAD",
    chunkedEncoding: false,
    shouldKeepAlive: watch.keepAlive,
  });
}

type Value = HeaderList[number][1];

/** The headers in `after` that are not in `before`. For a header with several values, only the new values. */
function headersAdded(before: HeaderList, after: HeaderList): HeaderList {
  const known = new Map(before.map(([name, value]) => [name.toLowerCase(), value]));
  return after.flatMap(([name, value]): [string, Value][] => {
    const old = known.get(name.toLowerCase());
    if (!Array.isArray(value)) return old === value ? [] : [[name, value]];
    const more = value.filter((one) => !listOf(old).includes(one));
    return more.length === 0 ? [] : [[name, more]];
  });
}

/**
 * Adds the headers again that outer code has added. `Content-Encoding` is among them, because outer code may already be
 * encoding the body. `Content-Length` is removed: outer code decides the length.
 */
function putBack(res: ServerResponse, added: HeaderList): void {
  const known = new Map(headersOf(res).map(([name, value]) => [name.toLowerCase(), value]));
  for (const [name, value] of added) {
    const old = known.get(name.toLowerCase());
    res.setHeader(name, Array.isArray(value) ? [...listOf(old), ...value] : value);
  }
  res.removeHeader("Content-Length");
}

function listOf(value: Value | undefined): readonly string[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [String(value)];
}
