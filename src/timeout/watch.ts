import type { Request, Response } from "express";
import { abortRequest, type RequestState, stateOf, timeoutError } from "../lib/request/state.js";
import { isHttp2 } from "../lib/request/transport.js";
import type { Receiver } from "../lib/response/chain.js";
import { isHeadOurs, watchBody } from "../lib/response/intercept.js";
import { type HeaderList, headersOf, type ResponseSnapshot, snapshotOf } from "../lib/response/snapshot.js";
import { isTakenOver } from "../lib/response/take-over.js";
import { isHeadSent } from "../lib/response/view.js";
import { catchLateErrors, lateErrors } from "./late-errors.js";
import type { TimeoutPlan } from "./options.js";

/** What `timeout` knows of one request. */
export class Watch {
  readonly state: RequestState;
  /** The response as it was before inner code changed it. */
  readonly before: ResponseSnapshot;
  /** The deadline has passed. */
  hasExpired = false;
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
  /** The headers of the answer at the deadline, while it is being sent. */
  answerHeaders: HeaderList | undefined = undefined;
  /** The body has begun, and its limits are running. */
  isBodyBounded = false;
  /** The progress at the last check, and the number of checks since it changed. */
  progress = "";
  unchanged = 0;
  deadline: NodeJS.Timeout | undefined = undefined;
  /** The time of the deadline, by `performance.now()`. */
  dueMs = Number.POSITIVE_INFINITY;
  /** The outer `timeout` of this request, if there is one. */
  readonly outer: Watch | undefined;
  total: NodeJS.Timeout | undefined = undefined;
  idle: NodeJS.Timeout | undefined = undefined;

  constructor(
    readonly plan: TimeoutPlan,
    readonly req: Request,
    readonly res: Response,
  ) {
    this.state = stateOf(req);
    this.state.res ??= res;
    this.outer = this.state.watch as Watch | undefined;
    this.state.watch = this;
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

  stop(): void {
    clearTimeout(this.deadline);
    clearTimeout(this.total);
    clearTimeout(this.idle);
  }

  /** From now on the request has timed out: errors that it still raises go to `state.late`. */
  markTimedOut(): void {
    this.stop();
    this.state.timedOut = true;
    this.state.late = lateErrors(this.plan, this.req);
    catchLateErrors(this.req);
  }

  /** Aborts the signal. Comes last: listeners may use the response at once, which must already be in its final state. */
  abort(what: string, ms: number): void {
    abortRequest(this.state, timeoutError(`${what} within ${ms} ms`));
  }
}

/** An end hook: stops all timers. */
export function stop(_res: unknown, watch: Watch): void {
  watch.stop();
}

/** Node's private fields of an HTTP/1 response. */
export interface Outgoing {
  /** The serialized head, and whether it was sent: `writeHead` alone sends nothing. */
  readonly _header?: string | null;
  readonly _headerSent?: boolean;
}

/** Whether the response is on its way to the client, so that the deadline has nothing left to do. */
export function isBegun(watch: Watch): boolean {
  return isSent(watch) || watch.isPassedOn;
}

/** Whether any part of the response has been sent. */
function isSent({ req, res }: Watch): boolean {
  if (res.finished || isTakenOver(req)) return true;
  return isHeadSent(res) && (isHttp2(req) || (res as Outgoing)._headerSent !== false);
}
