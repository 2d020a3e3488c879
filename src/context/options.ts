import type { Request } from "express";
import { Checker } from "../lib/config/checker.js";
import type { RenderProblem } from "../lib/http/problem.js";
import { FOREIGN } from "./foreign.js";

export interface RequestContextOptions {
  /**
   * Whether the caller's `X-Request-Id` is taken over: yes behind a proxy of your own that sets it, for everyone else
   * can write anything into it. Even then it must be well-formed: `[\w\-=.:]{1,128}`. Default: false.
   */
  readonly trustRequestId?: boolean | ((req: Request) => boolean) | undefined;
  /**
   * Writes every answer of this package that refuses or fails, in place of the built-in one; status and headers are already
   * set. `error` is what was thrown, undefined for a refusal. A `recover` with a `render` of its own uses that. If it throws,
   * rejects, or has not begun after 5 seconds, the status alone is sent.
   */
  readonly render?: RenderProblem | undefined;
  /** Outside production, have the order of the app's middleware checked at the first request. Default: true. */
  readonly check?: boolean | undefined;
}

export interface RequestContextPlan {
  readonly trustRequestId: (req: Request) => boolean;
  readonly check: boolean;
  readonly render: RenderProblem | undefined;
}

const KNOWN = ["trustRequestId", "check", "render"] as const satisfies (keyof RequestContextOptions)[];

export function checkOptions(options: RequestContextOptions | undefined): RequestContextPlan {
  const checker = Checker.of("requestContext()", options, KNOWN, "", FOREIGN);
  const { trustRequestId: trust = false } = checker.options;
  if (typeof trust !== "boolean" && typeof trust !== "function") {
    checker.add(
      "trustRequestId",
      "must be true, false, or a function of the request that returns one of them",
    );
  }
  const check = checker.boolean("check", true);
  const render = checker.function<RenderProblem>(
    "render",
    "must be a function (problem, req, res, error) that writes the answer",
  );
  checker.done();
  return {
    trustRequestId: typeof trust === "function" ? (trust as (req: Request) => boolean) : () => trust === true,
    check,
    render,
  };
}
