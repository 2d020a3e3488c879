import type { IncomingMessage, ServerResponse } from "node:http";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import { ConfigError } from "../lib/config/config-error.js";
import { refuseRequest } from "../lib/config/not-called.js";
import type { Handler } from "../lib/express/handler.js";
import { stateOf } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { finalStatus, outcomeOf } from "../lib/response/outcome.js";
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
import { callNext } from "./run.js";

/** How a request ended. Known when its response has ended or its client has left. */
export interface Outcome {
  /**
   * The response's status. If none was sent: 499 if the client left, 444 if the server dropped the connection, 500 if it
   * did so because of an error.
   */
  readonly status: number;
  /** The client left before the response was complete. */
  readonly aborted: boolean;
  /** The error that `recover` or a chain saw. The property is absent if there was none. */
  readonly error?: unknown;
  /** The time from this handler to the end of the response. */
  readonly durationMs: number;
}

/** Like Express's `next`, but returns a promise of the outcome. It never rejects. */
export type AroundNext = (error?: unknown) => Promise<Outcome>;

/**
 * A handler that also runs after the response: the code after `await next()` runs once, when the response has ended or
 * the client has left. The outermost `around` runs last.
 *
 * An error before `next()` goes to the error handlers. An error after it is written to standard error and changes
 * nothing, because the response has ended.
 *
 * @example
 * app.use(
 *   around(async (req, _res, next) => {
 *     const { status, durationMs } = await next();
 *     metrics.observe(req.method, status, durationMs);
 *   }),
 * );
 *
 * @example
 * app.use(
 *   around(async (_req, res, next) => {
 *     res.locals.transaction = await database.begin();
 *     const { status, aborted } = await next();
 *     await (aborted || status >= 400 ? res.locals.transaction.rollback() : res.locals.transaction.commit());
 *   }),
 * );
 *
 * @throws {ConfigError} if the argument is not a function
 */
export function around<Params = Request["params"]>(
  way: (req: Request<Params>, res: Response, next: AroundNext) => unknown,
): Handler {
  refuseRequest("around()", way);
  if (typeof way !== "function") {
    const reason = "must be a function: async (req, res, next) => { …; const outcome = await next(); … }";
    throw new ConfigError("around()", [
      { option: "way", value: way, reason, code: "ERR_PORTICO_INVALID_HANDLER" },
    ]);
  }
  const subject: Subject = { name: way.name === "" ? "around()" : `around(${way.name})` };

  const handler: RequestHandler = (req, res, next) => {
    adopt(req, res);
    const call = new AroundCall(subject, req, res, next);
    try {
      const result = way(req as Request<Params>, res, (error) => call.next(error));
      // The promise from `next` never rejects, so there is no need to listen to it.
      if (isThenable(result) && !call.isOutcome(result))
        result.then(undefined, (reason: unknown) => call.fail(fromRejection(reason)));
    } catch (thrown) {
      call.fail(fromThrow(thrown));
    }
  };
  Object.defineProperty(handler, "name", { value: subject.name.replace("()", ""), configurable: true });
  return handler as Handler;
}

/** A promise calls its executor synchronously, so one function can serve all promises. */
const keepResolve = (resolve: (outcome: Outcome) => void): void => {
  keptResolve = resolve;
};
let keptResolve: ((outcome: Outcome) => void) | undefined;

class AroundCall {
  private readonly startedMs = performance.now();
  private readonly socket: IncomingMessage["socket"];
  private outcome: Promise<Outcome> | undefined = undefined;
  private resolve: ((outcome: Outcome) => void) | undefined = undefined;
  private warned = false;
  private failed = false;

  constructor(
    readonly subject: Subject,
    readonly req: Request,
    readonly res: Response,
    readonly outerNext: NextFunction | undefined,
  ) {
    this.socket = req.socket;
  }

  next(error: unknown): Promise<Outcome> {
    if (this.outcome !== undefined) {
      this.warnOfSecondNext(error);
      return this.outcome;
    }
    const outcome = new Promise<Outcome>(keepResolve);
    this.resolve = keptResolve;
    this.outcome = outcome;
    onEnd(this.req, this.res, resolveOutcome, this);
    if (this.failed) this.warnOfSecondNext(error);
    else this.pass(error);
    return outcome;
  }

  resolveOutcome(res: ServerResponse): void {
    this.resolve?.(this.readOutcome(res));
  }

  isOutcome(result: unknown): boolean {
    return result === this.outcome;
  }

  fail(error: unknown): void {
    this.failed = true;
    if (this.outcome === undefined) this.pass(error);
    else reportUnhandled(this.req, this.subject, "failed after it had called next()", error);
  }

  private pass(error: unknown): void {
    if (isError(error)) noteError(this.req, error);
    callNext(this.subject, this.req, this.res, this.outerNext, error);
  }

  private warnOfSecondNext(error: unknown): void {
    if (this.warned) return;
    this.warned = true;
    warn(
      this.req,
      this.subject,
      "called next() again; the call was ignored",
      isError(error) ? error : undefined,
    );
  }

  private readOutcome(res: ServerResponse): Outcome {
    const { req } = this;
    const state = stateOf(req);
    const how = outcomeOf(req, res, this.socket);
    const noted = state.failed ? state : state.noted;
    const status = finalStatus(res, how, noted !== undefined);
    const durationMs = performance.now() - this.startedMs;
    const aborted = how === "aborted";
    return noted === undefined
      ? { status, aborted, durationMs }
      : { status, aborted, error: noted.error, durationMs };
  }
}

function resolveOutcome(res: ServerResponse, call: AroundCall): void {
  call.resolveOutcome(res);
}
