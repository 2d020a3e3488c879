import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from "express";
import { originalOf } from "../lib/express/app.js";
import { pathOf } from "../lib/http/target.js";
import { stateOf } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { truncate } from "../lib/response/close.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { isThenable } from "../lib/values/thrown.js";
import {
  fromRejection,
  fromThrow,
  isError,
  noteError,
  reportUnhandled,
  type Subject,
  warn,
} from "./errors.js";
import type { Step } from "./members.js";

/** One request in one chain. */
class Run {
  /** The request has been passed to what comes after the chain. */
  left = false;
  /** An error has occurred: only error handlers of the chain still run. */
  failed = false;
  readonly outerNext: NextFunction | undefined;

  constructor(
    readonly req: Request,
    readonly res: Response,
    /** The `next` that the chain was given; undefined in a server without Express. */
    readonly out: NextFunction | undefined,
  ) {
    this.outerNext = req.next;
  }
}

export function run(first: Step, req: Request, res: Response, out: NextFunction | undefined): void {
  adopt(req, res);
  runStep(new Run(req, res, out), first, undefined);
}

/** The most handlers that call each other on one stack. All chains share the count, because chains can be nested. */
const MAX_DEPTH = 100;
let depth = 0;

function runStep(run: Run, step: Step, error: unknown): void {
  if (depth >= MAX_DEPTH) {
    queueMicrotask(() => runStep(run, step, error)); // runs before any event and keeps the async context
    return;
  }
  const { handle } = step; // called without `this`, as Express does
  const call = new Call(run, step);
  run.req.next = call.next; // `res.render` and `res.sendFile` pass their errors to it
  depth++;
  try {
    const result: unknown = step.isErrorHandler
      ? (handle as ErrorRequestHandler)(error, run.req, run.res, call.next)
      : (handle as RequestHandler)(run.req, run.res, call.next);
    if (isThenable(result)) {
      result.then(undefined, (reason: unknown) => call.fail(reason, fromRejection(reason)));
    }
  } catch (thrown) {
    call.fail(thrown, fromThrow(thrown));
  } finally {
    depth--;
  }
}

/** One call of a member. Its first `next()` or error counts; later ones are reported. */
class Call {
  readonly next: NextFunction;
  #passes = 0;
  #given: unknown = undefined;

  constructor(
    readonly run: Run,
    readonly step: Step,
  ) {
    this.next = (value?: unknown) => this.#pass(value);
  }

  #pass(value: unknown): void {
    if (this.#passes++ > 0) {
      this.#passAgain(value);
      return;
    }
    this.#given = value;
    proceed(this.run, this.step, value);
  }

  #passAgain(value: unknown): void {
    const { run, step } = this;
    const isFromInnerChain = isPassingLateError;
    isPassingLateError = false;
    if (isError(value) && (isFromInnerChain || originalOf(stateOf(run.req).next) === this.next)) {
      raiseLate(run, step, value); // an uncaught error comes through the `next` that `requestContext` has kept
    } else if (this.#passes === 2) {
      warn(run.req, step, "called next() again; the call was ignored", isError(value) ? value : undefined);
    }
  }

  /** The member has thrown or rejected. */
  fail(thrown: unknown, error: unknown): void {
    if (this.#passes++ === 0) raise(this.run, this.step, error);
    else if (!isError(this.#given) || thrown !== this.#given) raiseLate(this.run, this.step, error);
  }
}

function proceed(run: Run, step: Step, value: unknown): void {
  if (isError(value)) {
    raise(run, step, value);
  } else if (run.res.writableEnded) {
    warn(run.req, step, "called next() after the response had ended; nothing more was run");
  } else if (run.failed && !step.isErrorHandler) {
    // An error handler has taken the request over.
  } else if (value || step.following === undefined) {
    leaveChain(run, step, value || undefined);
  } else {
    runStep(run, step.following, undefined);
  }
}

/** Passes an error to the nearest error handler on the left, or out of the chain if there is none. */
function raise(run: Run, step: Step, error: unknown): void {
  if (run.failed && !step.isErrorHandler) {
    reportUnhandled(run.req, step, "failed after the request had failed", error);
    return;
  }
  run.failed = true;
  noteError(run.req, error);
  if (step.errorHandler === undefined) leaveChain(run, step, error);
  else runStep(run, step.errorHandler, error);
}

/** Handles an error of a member that has already called `next()`: the response may not have been sent yet. */
function raiseLate(run: Run, step: Step, error: unknown): void {
  if (run.failed || run.res.writableEnded) {
    reportUnhandled(run.req, step, "failed after it had passed the request on", error);
  } else {
    raise(run, step, error);
  }
}

/** An inner chain that has already called `next()` is passing an error to the outer chain. */
let isPassingLateError = false;

function leaveChain(run: Run, step: Step, value: unknown): void {
  const { req, outerNext } = run;
  if (run.left && !isError(value)) return;
  if (outerNext !== undefined) req.next = outerNext;
  isPassingLateError = run.left;
  run.left = true;
  callNext(step, req, run.res, run.out, value);
  isPassingLateError = false;
}

/** Calls the `next` that a handler was given. Without one, answers 404 or 500. Never throws. */
export function callNext(
  subject: Subject,
  req: Request,
  res: Response,
  out: NextFunction | undefined,
  value?: unknown,
): void {
  if (out === undefined) {
    answerWithoutNext(subject, req, res, value);
    return;
  }
  try {
    if (value === undefined) out();
    else out(value);
  } catch (fault) {
    reportUnhandled(req, subject, "passed the request on, and what came next threw", fault);
    answerOrTruncate(req, res, 500, undefined, fault);
  }
}

/** Answers where there is no `next`: in a server without Express. */
function answerWithoutNext(subject: Subject, req: Request, res: Response, value: unknown): void {
  if (isError(value)) {
    reportUnhandled(req, subject, "failed, and there is no error handler", value);
    answerOrTruncate(req, res, 500, undefined, value);
  } else {
    answerOrTruncate(req, res, 404, `There is nothing at ${pathOf(req)} for ${req.method}.`);
  }
}

function answerOrTruncate(
  req: Request,
  res: Response,
  status: number,
  detail?: string,
  error?: unknown,
): void {
  if (!res.headersSent) {
    answerProblem(req, res, status, detail === undefined ? {} : { detail }, undefined, error);
  } else if (!res.writableEnded) truncate(res);
}
