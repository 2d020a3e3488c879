import type { Request, Response } from "express";
import { catchLateErrors } from "../lib/express/late-errors.js";
import { abortRequest, timeoutError } from "../lib/request/state.js";
import { Replaceable } from "../lib/response/replace.js";
import { lateErrors } from "./late-errors.js";
import type { TimeoutPlan } from "./options.js";

/** What `timeout` knows of one request. */
export class Watch extends Replaceable {
  /** The deadline has passed. */
  hasExpired = false;
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
    req: Request,
    res: Response,
  ) {
    super(req, res);
    this.outer = this.state.watch as Watch | undefined;
    this.state.watch = this;
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
