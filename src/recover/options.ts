import type { Request } from "express";
import type { ForeignOptions } from "../lib/config/checker.js";
import { fn, integer, oneOf, readOptions, type SchemaOf } from "../lib/config/schema.js";
import type { RenderProblem } from "../lib/http/problem.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import { guarded } from "../lib/log/stderr-logger.js";
import { DEFAULT_LINGER_MS } from "../lib/response/early-response.js";
import { inProduction } from "../lib/values/environment.js";

export interface RecoverOptions {
  /** Logs each error, once. @defaultValue standard error */
  readonly logger?: Logger | undefined;
  /**
   * Writes the response; status, `Connection` and `Cache-Control` are already set. If it throws, rejects, or has not
   * begun after 5 seconds, only the status is sent.
   * @defaultValue the `render` of `requestContext`
   */
  readonly render?: RenderProblem | undefined;
  /** Returns the status for an error, an integer from 400 to 599. @defaultValue the error's own status, else 500 */
  readonly status?: ((error: unknown) => number | undefined) | undefined;
  /**
   * Returns whether the client may read the error's message.
   * @defaultValue the error's own `expose`, never for a 5xx
   */
  readonly expose?: ((error: unknown) => boolean) | undefined;
  /**
   * Called once for every error, for a metric or an error tracker. Late errors after a `timeout` go to its `onLate`
   * instead. If it throws, that is logged and changes nothing. @defaultValue none
   */
  readonly onError?: ((error: unknown, req: Request) => unknown) | undefined;
  /** After which responses the connection is closed. @defaultValue `"server-errors"` */
  readonly close?: "server-errors" | "always" | "never" | undefined;
  /**
   * How many milliseconds a closing connection is still read, so that a client that is sending can read its response.
   * @defaultValue `500`
   */
  readonly lingerMs?: number | undefined;
}

export const OPTIONS = () =>
  ({
    logger: checkLogger,
    render: fn("must be a function (problem, req, res, error) that writes the answer"),
    status: fn("must be a function of the error that returns a status or undefined"),
    expose: fn("must be a function of the error that returns true or false"),
    onError: fn("must be a function (error, req)"),
    close: oneOf(["server-errors", "always", "never"], "server-errors"),
    lingerMs: integer({ min: 0, max: 60_000, unit: "milliseconds" }, DEFAULT_LINGER_MS),
  }) satisfies SchemaOf<RecoverOptions>;

/** Option names of similar packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  errorhandler: {
    log: "it is logger, an object with the methods of console, or onError: (error, req) => …",
  },
};

export type RecoverPlan = ReturnType<typeof checkOptions>;

export function checkOptions(options: RecoverOptions | undefined, subject: string) {
  const { checker, plan } = readOptions(subject, OPTIONS, options, { foreign: FOREIGN });
  return checker.done({
    ...plan,
    logger: guarded(plan.logger),
    /** The logger that was given; the log of the request compares it with its own. */
    givenLogger: checker.options.logger as object | undefined,
    production: inProduction(),
  });
}
