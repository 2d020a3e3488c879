import type { Request } from "express";
import type { ForeignOptions } from "../lib/config/checker.js";
import { Checker } from "../lib/config/checker.js";
import type { RenderProblem } from "../lib/http/problem.js";

export interface RequestContextOptions {
  /**
   * Whether to use the caller's `X-Request-Id`. Use it only behind a proxy of your own that sets it, because other callers
   * can send anything. It must match `[\w\-=.:]{1,128}`. Default: false.
   */
  readonly trustRequestId?: boolean | ((req: Request) => boolean) | undefined;
  /**
   * Writes the body of every answer of this package that refuses a request or reports an error. The status and the headers
   * are set before. `error` is what was thrown, undefined for a refusal. A `render` of `recover` is used instead for errors.
   * If it throws, rejects, or has not begun after 5 seconds, only the status is sent.
   */
  readonly render?: RenderProblem | undefined;
  /** Whether to check the order of the app's middleware at the first request outside production. Default: true. */
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

const NAMED = "the header is X-Request-Id, in the request and in the response";

/** Option names of similar packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  hono: {
    limitLength: "there is none: an id of more than 128 characters is not taken",
    headerName: NAMED,
    generator: "there is none: an id is random, or the client's where trustRequestId says so",
  },
  "express-request-id": {
    setHeader: NAMED,
    headerName: NAMED,
    generator: "there is none: an id is random, or the client's where trustRequestId says so",
  },
};
