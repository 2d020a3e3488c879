import type { Request } from "express";
import { Checker, isBag } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { FOREIGN } from "./foreign.js";

export interface TimeoutOptions {
  /** Milliseconds from here to the response's head; more than 0. Required. */
  readonly ms: number;
  /** The status of the answer in the handler's place, an integer from 400 to 599. Default: 503. */
  readonly status?: number | undefined;
  /** What that answer says: the problem's `detail`. Default: that the server did not answer in time. */
  readonly message?: string | undefined;
  /**
   * Once a response has begun: the longest pause, in milliseconds, in which no byte of its body leaves the server,
   * because its handler gives none, or because the client takes none. Then it is cut. Default: no limit.
   */
  readonly idleMs?: number | undefined;
  /** Milliseconds from here to the end of the whole response; then it is cut. Default: no limit. */
  readonly totalMs?: number | undefined;
  /**
   * Told of an error that comes after the deadline, for nobody can answer it. What it throws is reported, and changes
   * nothing. Default: the error is logged as a warning, unless it comes of the signal.
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

/** Node keeps a timer's delay in 31 bits, and runs one that is longer at once. */
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
