import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { type Problem, problemOf, type RenderProblem, represent } from "../http/problem.js";
import { pathOf } from "../http/target.js";
import { reportFault } from "../log/callback-faults.js";
import { stateOf } from "../request/state.js";
import { isHttp2 } from "../request/transport.js";
import { isThenable } from "../values/thrown.js";
import { closeAfter, dropBody, shouldCloseEarly, truncate } from "./close.js";
import { callAsRenderer, isRendering } from "./discard.js";
import { DEFAULT_LINGER_MS, dropReplacedBodyHeaders } from "./early-response.js";
import { onEnd } from "./end-hooks.js";
import { type SendOptions, send } from "./send.js";
import type { Outgoing } from "./write.js";

/**
 * Answers with a problem that must not be stored: by the app's `render`, else in the form that the client prefers. Adds the
 * members title, instance and requestId.
 *
 * @param error what was thrown; undefined for a refusal
 */
export function answerProblem(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  members: Partial<Problem>,
  options?: SendOptions,
  error?: unknown,
): void {
  const problem = describeProblem(req, status, members);
  const { render } = stateOf(req);
  if (render === undefined) sendProblem(req, res, problem, options);
  else renderProblem(render, problem, error, req, res, options ?? {}, report);

  function report(fault: unknown): void {
    reportFault(req, fault, "render failed; the status alone was sent");
  }
}

/** The problem as it will be sent. */
export function describeProblem(
  req: IncomingMessage,
  status: number,
  members: Partial<Problem> = {},
): Problem {
  const requestId = stateOf(req).id;
  return { ...problemOf(status), instance: pathOf(req), ...(requestId && { requestId }), ...members };
}

/** Sends a problem that was made by `describeProblem`. */
export function sendProblem(
  req: IncomingMessage,
  res: ServerResponse,
  problem: Problem,
  options?: SendOptions,
): void {
  if (res.headersSent) return;
  const { type, body } = represent(problem, req.headers.accept);
  dropReplacedBodyHeaders(res, problem.status);
  res.setHeader("Cache-Control", "no-store");
  res.setHeader("X-Content-Type-Options", "nosniff");
  send(req, res, problem.status, type, body, options);
}

/** How long a `render` may take to begin its answer. */
const PATIENCE_MS = 5_000;

/**
 * Calls the app's `render` to write the answer. If it throws, rejects or does not begin in time, only the status is sent.
 * The error is reported once.
 */
export function renderProblem(
  write: RenderProblem,
  problem: Problem,
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  { close = shouldCloseEarly(req), lingerMs = DEFAULT_LINGER_MS }: SendOptions,
  report: (fault: unknown) => void,
): void {
  if (res.headersSent || res.writableEnded || res.destroyed) return;
  const { status } = problem;
  dropReplacedBodyHeaders(res, status);
  res.statusCode = status;
  if (!isHttp2(req)) res.statusMessage = "";
  res.setHeader("Cache-Control", "no-store");
  if (close) closeAfter(req, res, lingerMs);
  res.on("error", ignore); // a stream that is still piped into it goes on to write

  let timer: NodeJS.Timeout | undefined;
  let failed = false;
  const fail = (fault: unknown) => {
    if (failed) return;
    failed = true;
    clearTimeout(timer);
    report(fault);
    answerPlainly(req, res, status, { close, lingerMs });
  };
  const routed = req as Request;
  const { next } = routed;
  const isLate = stateOf(req).late !== undefined; // then the late handler calls `next` too
  // `res.render` and `res.sendFile` report their errors here.
  routed.next = (fault?: unknown) => {
    if (!isLate || isRendering(res)) fail(fault);
    else next?.(fault);
  };

  const begin = () => {
    stateOf(req).rendering = true;
    try {
      const result = write(problem, routed, res as Response, error);
      if (isThenable(result)) result.then(undefined, fail);
    } catch (fault) {
      fail(fault);
    }
    if (failed || hasBegun(res)) return;
    timer = setTimeout(failIfNotBegun, PATIENCE_MS, res, fail).unref();
    onEnd(req, res, () => clearTimeout(timer), undefined);
  };
  if (isLate) callAsRenderer(res, begin);
  else begin();
  dropBody(req, lingerMs);
}

function failIfNotBegun(res: ServerResponse, fail: (fault: unknown) => void): void {
  if (hasBegun(res) || res.destroyed) return;
  fail(new Error(`render has not begun its answer within ${PATIENCE_MS} ms`));
}

/** On HTTP/1, `writeHead` sends nothing before the body or the end is written. */
function hasBegun(res: ServerResponse): boolean {
  if (res.writableEnded) return true;
  const { _header, _headerSent } = res as Outgoing;
  return res.headersSent && !(typeof _header === "string" && _headerSent === false);
}

/** Sends only the status, without the headers that may have caused the failure. */
export function answerPlainly(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  options: SendOptions,
): void {
  try {
    if (res.writableEnded || res.destroyed) return;
    if (res.headersSent) {
      stateOf(req).truncated = true;
      truncate(res);
      return;
    }
    dropReplacedBodyHeaders(res, status);
    res.setHeader("Cache-Control", "no-store");
    send(req, res, status, "text/plain; charset=utf-8", `${status}\n`, options);
  } catch {
    truncate(res);
  }
}

function ignore(): void {}
