import type { Request } from "express";
import type { ForeignOptions } from "../lib/config/checker.js";
import { boolean, fn, readOptions, type SchemaOf, valid } from "../lib/config/schema.js";
import type { RenderProblem } from "../lib/http/problem.js";

export interface RequestContextOptions {
  /**
   * Whether to use the caller's `X-Request-Id`. Use it only behind a proxy of your own that sets it, because other callers
   * can send anything. It must match `[\w\-=.:]{1,128}`. @defaultValue `false`
   */
  readonly trustRequestId?: boolean | ((req: Request) => boolean) | undefined;
  /**
   * Whether to check the order of the app's middleware at the first request outside production, and to warn of a `trust proxy`
   * that does not fit what arrives. @defaultValue `true`
   */
  readonly check?: boolean | undefined;
  /**
   * Writes the body of every answer of this package that refuses a request or reports an error. The status and the headers
   * are set before. `error` is what was thrown, undefined for a refusal. A `render` of `recover` is used instead for errors.
   * If it throws, rejects, or has not begun after 5 seconds, only the status is sent.
   * @defaultValue the built-in forms
   */
  readonly render?: RenderProblem | undefined;
}

export const OPTIONS = () =>
  ({
    trustRequestId: valid(
      (value) => typeof value === "boolean" || typeof value === "function",
      "must be true, false, or a function of the request that returns one of them",
      false,
    ),
    check: boolean(true),
    render: fn("must be a function (problem, req, res, error) that writes the answer"),
  }) satisfies SchemaOf<RequestContextOptions>;

export function checkOptions(options: RequestContextOptions | undefined) {
  const { checker, plan } = readOptions("requestContext()", OPTIONS, options, { foreign: FOREIGN });
  const { trustRequestId: trust } = plan;
  return checker.done({ ...plan, trustRequestId: typeof trust === "function" ? trust : () => trust });
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
    "setHeader headerName": NAMED,
    generator: "there is none: an id is random, or the client's where trustRequestId says so",
  },
};
