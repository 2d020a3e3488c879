import type { Request } from "express";
import { type Checker, type ForeignOptions, isBag } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { fn, integer, readOptions, type SchemaOf, string, valid } from "../lib/config/schema.js";

export interface TimeoutOptions {
  /** Milliseconds from this middleware to the head of the response; more than 0. Required. */
  readonly ms: number;
  /** Status of the answer at the deadline, an integer from 400 to 599. @defaultValue `503` */
  readonly status?: number | undefined;
  /** The `detail` of that answer. @defaultValue `"The server did not answer in time."` */
  readonly message?: string | undefined;
  /**
   * The longest pause, in milliseconds, in the body of a response: a time in which no byte leaves the server, because the
   * handler writes none or the client reads none. Then the response is truncated. @defaultValue no limit
   */
  readonly idleMs?: number | undefined;
  /** Milliseconds from this middleware to the end of the response; then it is truncated. @defaultValue no limit */
  readonly totalMs?: number | undefined;
  /**
   * Called with each error that comes after the deadline, when it can no longer be answered. An error that it throws is
   * logged. @defaultValue a warning in the log
   */
  readonly onLate?: ((error: unknown, req: Request) => unknown) | undefined;
}

/** The longest delay of a Node timer: a longer one fires at once. */
const MAX_MS = 2 ** 31 - 1;

export const OPTIONS = () =>
  ({
    ms: requiredDuration,
    status: integer({ min: 400, max: 599 }, 503),
    message: string("The server did not answer in time."),
    idleMs: duration(),
    totalMs: duration(),
    onLate: fn("must be a function (error, req)"),
  }) satisfies SchemaOf<TimeoutOptions>;

export type TimeoutPlan = ReturnType<typeof checkOptions>;

export function checkOptions(options: number | TimeoutOptions) {
  refuseRequest("timeout()", options);
  const given = isBag(options) ? options : { ms: options };
  const { checker, plan } = readOptions("timeout()", OPTIONS, given, { foreign: FOREIGN });
  if (plan.totalMs !== undefined && plan.totalMs < plan.ms) {
    checker.add("totalMs", "must not be less than ms: the whole response cannot end before it begins");
  }
  return checker.done(plan);
}

function requiredDuration(checker: Checker, option: string): number {
  if (checker.options[option] === undefined) {
    const reason = "is required: the milliseconds a handler has to begin its response, as in timeout(30_000)";
    const isGiven = option in checker.options;
    const code = isGiven ? "ERR_PORTICO_UNDEFINED_OPTION" : "ERR_PORTICO_MISSING_OPTION";
    checker.add(option, reason, undefined, code);
  }
  return duration()(checker, option) ?? 0;
}

function duration() {
  return valid<number>(
    (value) => typeof value === "number" && value > 0 && value <= MAX_MS,
    (value, option) =>
      `must be a number of milliseconds, more than 0 and at most ${MAX_MS}. ${remedy(option, value)}`,
  );
}

function remedy(option: string, value: unknown): string {
  if (typeof value === "string") return "Write it as a number: 5_000 for five seconds";
  return option === "ms" ? "For no limit, leave the middleware out" : "For no limit, leave the option out";
}

/** Option names of similar packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  "connect-timeout": {
    respond: "there is none: the answer is always sent, and contextOf(req).signal aborts",
    time: "ms",
  },
  hono: {
    duration: "ms",
    exception: "write status and message",
  },
  "express-timeout-handler": {
    timeout: "ms",
    onTimeout: "write status and message; requestContext's render writes the body",
    onDelayedResponse: "onLate",
    disable: "late writes are always dropped",
  },
};
