import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { stderrLogger } from "../log/stderr-logger.js";
import { type RequestState, stateOf } from "../request/state.js";
import { isHttp2, isServed } from "../request/transport.js";
import { describeThrown } from "../values/thrown.js";
import type { Receiver } from "./chain.js";
import { isClosing, reset, truncate } from "./close.js";
import { discardLate } from "./discard.js";
import { beforeHead, discardInside, isHeadOurs, watchBody } from "./intercept.js";
import { answerProblem } from "./send-problem.js";
import {
  type HeaderList,
  headersOf,
  type ResponseSnapshot,
  replaceHeaders,
  restore,
  snapshotOf,
} from "./snapshot.js";
import { isTakenOver } from "./take-over.js";
import { isHeadSent } from "./view.js";
import { type Outgoing, uncorkAll } from "./write.js";

/**
 * A response that another answer may replace until it has begun. Code that makes one must register `atHead` with
 * `beforeHead` at once.
 */
export class Replaceable {
  readonly state: RequestState;
  /** The response as it was before inner code changed it. */
  readonly before: ResponseSnapshot;
  /** The handler has written a head. `keepAlive` is what the response's `shouldKeepAlive` was then. */
  hasHead = false;
  keepAlive = true;
  /** The headers of that head. Kept only if outer code has hooks that may run only once. */
  headHeaders: HeaderList | undefined = undefined;
  /** The headers that outer hooks have added to a head that was taken back. */
  outerHeaders: HeaderList | undefined = undefined;
  /** Tells whether a part of the body, or its end, was passed to outer code. Without a patch, Node's own state says so. */
  private readonly body: Receiver | undefined;
  private readonly writesBefore: number | undefined;
  private readonly hasOuterHooks: boolean;
  /** The status and the headers of the other answer, while it is being sent. */
  status = 0;
  answerHeaders: HeaderList | undefined = undefined;

  constructor(
    readonly req: Request,
    readonly res: Response,
  ) {
    this.state = stateOf(req);
    this.state.res ??= res;
    this.before = snapshotOf(res);
    const isBodyPatched = Object.hasOwn(res, "end") || Object.hasOwn(res, "write");
    this.hasOuterHooks = isBodyPatched || !isHeadOurs(res);
    this.body = isBodyPatched ? watchBody(res) : undefined;
    this.writesBefore = this.body?.writes;
  }

  /** Outer code has the head and some of the body, or the end, and will send it. */
  get isPassedOn(): boolean {
    return this.hasHead && this.body?.writes !== this.writesBefore;
  }

  noteHead(): void {
    this.hasHead = true;
    this.keepAlive = this.res.shouldKeepAlive;
    if (this.hasOuterHooks) this.headHeaders = headersOf(this.res);
  }
}

/** Runs before the head is written, after the hooks of inner middleware. Returns whether it is the handler's head. */
export function atHead(res: ServerResponse, response: Replaceable): boolean {
  if (response.answerHeaders === undefined) {
    response.noteHead();
    return true;
  }
  // Headers that inner hooks have added belong to the response that did not come.
  replaceHeaders(res, response.answerHeaders);
  res.statusCode = response.status;
  return false;
}

/** Whether the response is on its way to the client, so that nothing can replace it. */
export function isBegun(response: Replaceable): boolean {
  return isSent(response) || response.isPassedOn;
}

/** Whether any part of the response has been sent. */
function isSent({ req, res }: Replaceable): boolean {
  if (res.finished || isTakenOver(req)) return true;
  return isHeadSent(res) && (isHttp2(req) || (res as Outgoing)._headerSent !== false);
}

/**
 * Undoes what inner code has set, answers with a problem, and discards what inner code still does with the response.
 *
 * @param close whether the connection must end after the answer; on HTTP/2 only the stream ends
 * @param by the middleware, for the log
 */
export function replaceResponse(
  response: Replaceable,
  status: number,
  detail: string,
  close: boolean,
  by: string,
): void {
  const { req, res, state } = response;
  response.status = status;
  state.answering = true;
  try {
    uncorkAll(res);
    takeHeadBack(response);
    restore(res, response.before);
    beforeHead(res, keepAnswerHeaders, response);
    answerProblem(req, res, status, { detail }, { close: close && !isHttp2(req) });
  } catch (fault) {
    // A hook or a patch of the app threw. Whatever the state of the response is now, the client must not wait.
    stderrLogger.error({ error: describeThrown(fault) }, `${by}: the answer could not be sent`);
    state.truncated = true;
    if (res.headersSent || !isServed(req, res)) truncate(res);
    else reset(req.socket);
  }
  response.answerHeaders = undefined;
  discardLate(res);
}

/**
 * Whether the connection must end after an answer that was sent without waiting for the request's body: the body is not
 * whole, or the connection is closing already.
 */
export function mustClose(req: IncomingMessage): boolean {
  return !req.complete || isClosing(req.socket);
}

/**
 * Head hook for the other answer: adds back the headers of outer code, then saves all headers. It is registered last, so
 * it runs before all other hooks.
 */
function keepAnswerHeaders(res: ServerResponse, response: Replaceable): void {
  if (response.outerHeaders !== undefined) putBack(res, response.outerHeaders);
  response.answerHeaders = headersOf(res);
}

/** Takes back a head that was written and not sent. */
function takeHeadBack(response: Replaceable): void {
  const { req, res, headHeaders } = response;
  if (!response.hasHead) return;
  if (headHeaders !== undefined) response.outerHeaders = headersAdded(headHeaders, headersOf(res));
  discardInside(res, -1); // also the outer interceptors, which have the old head
  if (typeof (res as Outgoing)._header !== "string") return;
  // Also restore the fields that Node derived from the old headers.
  Object.assign(res, {
    _header: null,
    _last: false,
    _contentLength: null,
    _defaultKeepAlive: true,
    _hasBody: req.method !== "HEAD",
    chunkedEncoding: false,
    shouldKeepAlive: response.keepAlive,
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
