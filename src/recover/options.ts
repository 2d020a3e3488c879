import type { Request } from "express";
import { Checker } from "../lib/config/checker.js";
import type { RenderProblem } from "../lib/http/problem.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import { guarded } from "../lib/log/stderr-logger.js";
import { DEFAULT_LINGER_MS } from "../lib/response/send.js";
import { inProduction } from "../lib/values/environment.js";

export interface RecoverOptions {
  /**
   * Logs each error, once.
   *
   * @defaultValue standard error
   */
  readonly logger?: Logger | undefined;
  /**
   * Writes the response; status, `Connection` and `Cache-Control` are already set. If it throws, rejects, or has not
   * begun after 5 seconds, the status alone is sent.
   *
   * @defaultValue `render` of `requestContext`, else the built-in forms
   */
  readonly render?: RenderProblem | undefined;
  /** Returns the status for an error, an integer from 400 to 599; undefined: the error's own status, else 500. */
  readonly status?: ((error: unknown) => number | undefined) | undefined;
  /**
   * Returns whether the client may read the error's message.
   *
   * @defaultValue the error's own `expose`, and never for a 5xx
   */
  readonly expose?: ((error: unknown) => boolean) | undefined;
  /**
   * Called once for every error, for a metric or an error tracker. Late errors after a `timeout` go to its `onLate`
   * instead. If it throws, that is logged and changes nothing.
   */
  readonly onError?: ((error: unknown, req: Request) => unknown) | undefined;
  /**
   * After which responses the connection is closed.
   *
   * @defaultValue `"server-errors"`, the 5xx
   */
  readonly close?: "server-errors" | "always" | "never" | undefined;
  /**
   * How many milliseconds a closing connection is still read, so that a client that is sending can read its response.
   *
   * @defaultValue 500
   */
  readonly lingerMs?: number | undefined;
}

export interface RecoverPlan {
  readonly logger: Logger;
  /** The logger that was given; the log of the request compares it with its own. */
  readonly givenLogger: object | undefined;
  readonly render: RecoverOptions["render"];
  readonly status: RecoverOptions["status"];
  readonly expose: RecoverOptions["expose"];
  readonly onError: RecoverOptions["onError"];
  readonly close: "server-errors" | "always" | "never";
  readonly lingerMs: number;
  readonly production: boolean;
}

const KNOWN = [
  "logger",
  "render",
  "status",
  "expose",
  "onError",
  "close",
  "lingerMs",
] as const satisfies (keyof RecoverOptions)[];

export function checkOptions(options: RecoverOptions | undefined, subject: string): RecoverPlan {
  const checker = Checker.of(subject, options, KNOWN);
  const plan: RecoverPlan = {
    logger: guarded(checkLogger(checker)),
    givenLogger: checker.options.logger as object | undefined,
    render: checker.function(
      "render",
      "must be a function (problem, req, res, error) that writes the answer",
    ),
    status: checker.function("status", "must be a function of the error that returns a status or undefined"),
    expose: checker.function("expose", "must be a function of the error that returns true or false"),
    onError: checker.function("onError", "must be a function (error, req)"),
    close: checker.oneOf("close", ["server-errors", "always", "never"], "server-errors"),
    lingerMs: checker.integer("lingerMs", { min: 0, max: 60_000, unit: "milliseconds" }, DEFAULT_LINGER_MS),
    production: inProduction(),
  };
  checker.done();
  return plan;
}
