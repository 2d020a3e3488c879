import type { Request, Response } from "express";
import { abortRequest, type RequestState, stateOf, timeoutError } from "../lib/request/state.js";
import { isHeadOurs } from "../lib/response/hooks.js";
import { type HeaderList, headersOf, type ResponseSnapshot, snapshotOf } from "../lib/response/snapshot.js";
import { onBody } from "./body-seen.js";
import { catchLateErrors, lateErrors } from "./late.js";
import type { TimeoutPlan } from "./options.js";

/** One request, and how long it may still take. */
export class Watch {
  readonly state: RequestState;
  /** The response as it was when it came here. */
  readonly before: ResponseSnapshot;
  /** Its deadline has come. */
  isDue = false;
  /** The handler's head has come by here, and how its connection stood before. */
  hasPassed = false;
  keepAlive = true;
  /** Its headers, if there are others further out whose hooks may run only once. */
  passed: HeaderList | undefined = undefined;
  /** What those have added to it; it was taken back. */
  added: HeaderList | undefined = undefined;
  /** A part of the body was handed on to somebody further out, or the end. */
  bodySeen = false;
  private readonly hasOthers: boolean;
  /** The headers of the answer in the handler's place, while it is being sent. */
  answer: HeaderList | undefined = undefined;
  /** The body is bounded, and has begun. */
  begun = false;
  /** How much of the body had left at the last look, and for how many looks it has been the same. */
  progress = "";
  still = 0;
  deadline: NodeJS.Timeout | undefined = undefined;
  /** When that comes, by `performance.now()`. */
  dueMs = Number.POSITIVE_INFINITY;
  /** Another timeout of this request, further out. */
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
    this.hasOthers = isBodyPatched || !isHeadOurs(res);
    // Else Node itself knows.
    if (isBodyPatched) {
      onBody(res, () => {
        this.bodySeen = true;
      });
    }
  }

  pass(): void {
    this.hasPassed = true;
    this.keepAlive = this.res.shouldKeepAlive;
    if (this.hasOthers) this.passed = headersOf(this.res);
  }

  stop(): void {
    clearTimeout(this.deadline);
    clearTimeout(this.total);
    clearTimeout(this.idle);
  }

  /** From here on, the request is given up: what it still brings goes to `late`. */
  giveUp(): void {
    this.stop();
    this.state.timedOut = true;
    this.state.late = lateErrors(this.plan, this.req);
    catchLateErrors(this.req);
  }

  /** Tells the handler, last of all: what it does at once in answer must already find everything in order. */
  tell(what: string, ms: number): void {
    abortRequest(this.state, timeoutError(`${what} within ${ms} ms`));
  }
}

/** To be registered for the end of a response. */
export function stop(_res: unknown, watch: Watch): void {
  watch.stop();
}
