import type { Request } from "express";
import type { ForeignOptions } from "../lib/config/checker.js";
import { Checker, isBag } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";

export interface TimeoutOptions {
  /** Milliseconds from this middleware to the head of the response; more than 0. Required. */
  readonly ms: number;
  /** Status of the answer at the deadline, an integer from 400 to 599. Default: 503. */
  readonly status?: number | undefined;
  /** The `detail` of that answer. Default: "The server did not answer in time." */
  readonly message?: string | undefined;
  /**
   * The longest pause, in milliseconds, in the body of a response: a time in which no byte leaves the server, because the
   * handler writes none or the client reads none. Then the response is truncated. Default: no limit.
   */
  readonly idleMs?: number | undefined;
  /** Milliseconds from this middleware to the end of the response; then it is truncated. Default: no limit. */
  readonly totalMs?: number | undefined;
  /**
   * Called with each error that comes after the deadline, when it can no longer be answered. An error that it throws is
   * logged. Default: the late error is logged as a warning, unless the abort of the signal has caused it.
   */
  readonly onLate?: ((error: unknown, req: Request) => unknown) | undefined;
}

export interface TimeoutPlan {
  readonly ms: number;
  readonly status: number;
  readonly message: string;
  readonly idleMs: number | undefined;
  readonly totalMs: number | undefined;
  readonly onLate: TimeoutOptions["onLate"];
}

const KNOWN = [
  "ms",
  "status",
  "message",
  "idleMs",
  "totalMs",
  "onLate",
] as const satisfies (keyof TimeoutOptions)[];
const DEFAULT_MESSAGE = "The server did not answer in time.";

/** The longest delay of a Node timer: a longer one fires at once. */
const MAX_MS = 2 ** 31 - 1;

export function checkOptions(options: number | TimeoutOptions): TimeoutPlan {
  refuseRequest("timeout()", options);
  const checker = Checker.of("timeout()", isBag(options) ? options : { ms: options }, KNOWN, "", FOREIGN);
  const ms = duration(checker, "ms");
  if (checker.options.ms === undefined) {
    checker.add(
      "ms",
      "is required: the milliseconds a handler has to begin its response, as in timeout(30_000)",
      undefined,
      "ms" in checker.options ? "ERR_PORTICO_UNDEFINED_OPTION" : "ERR_PORTICO_MISSING_OPTION",
    );
  }
  const plan: TimeoutPlan = {
    ms: ms ?? 0,
    status: checker.integer("status", { min: 400, max: 599 }, 503),
    message: checker.string("message") ?? DEFAULT_MESSAGE,
    idleMs: duration(checker, "idleMs"),
    totalMs: duration(checker, "totalMs"),
    onLate: checker.function("onLate", "must be a function (error, req)"),
  };
  if (ms !== undefined && plan.totalMs !== undefined && plan.totalMs < ms) {
    checker.add("totalMs", "must not be less than ms: the whole response cannot end before it begins");
  }
  checker.done();
  return plan;
}

function duration(checker: Checker, option: "ms" | "idleMs" | "totalMs"): number | undefined {
  const value = checker.options[option];
  if (value === undefined) return undefined;
  if (typeof value === "number" && value > 0 && value <= MAX_MS) return value;
  checker.add(
    option,
    `must be a number of milliseconds, more than 0 and at most ${MAX_MS}. ${remedy(option, value)}`,
  );
  return undefined;
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
