import type { Request, Response } from "express";
import { abortRequest, timeoutError } from "../http/abort.js";
import { type Facts, factsOf } from "../http/facts.js";
import { type HeaderList, type ResponseSnapshot, snapshotOf } from "../http/response-snapshot.js";
import { catchLateErrors, lateErrors } from "./late.js";
import type { TimeoutPlan } from "./options.js";

/** One request, and how long it may still take. */
export class Watch {
  readonly facts: Facts;
  /** The response as it was when it came here. */
  readonly before: ResponseSnapshot;
  /** The headers of the answer in the handler's place, while it is being sent. */
  answer: HeaderList | undefined = undefined;
  /** The body is bounded, and has begun. */
  begun = false;
  /** How much of the body had left at the last look, and for how many looks it has been the same. */
  progress = "";
  still = 0;
  deadline: NodeJS.Timeout | undefined = undefined;
  total: NodeJS.Timeout | undefined = undefined;
  idle: NodeJS.Timeout | undefined = undefined;

  constructor(
    readonly plan: TimeoutPlan,
    readonly req: Request,
    readonly res: Response,
  ) {
    this.facts = factsOf(req);
    this.facts.res ??= res;
    this.before = snapshotOf(res);
  }

  stop(): void {
    clearTimeout(this.deadline);
    clearTimeout(this.total);
    clearTimeout(this.idle);
  }

  /** From here on, the request is given up: what it still brings goes to `late`. */
  giveUp(): void {
    this.stop();
    this.facts.timedOut = true;
    this.facts.late = lateErrors(this.plan, this.req);
    catchLateErrors(this.req);
  }

  /** Tells the handler, last of all: what it does at once in answer must already find everything in order. */
  tell(what: string, ms: number): void {
    abortRequest(this.facts, timeoutError(`${what} within ${ms} ms`));
  }
}
