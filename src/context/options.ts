import type { Request } from "express";
import { Checker } from "../config/check.js";
import { FOREIGN } from "./foreign.js";

export interface RequestContextOptions {
  /**
   * Whether the caller's `X-Request-Id` is taken over: yes behind a proxy of your own that sets it, for everyone else
   * can write anything into it. Even then it must be well-formed: `[\w\-=.:]{1,128}`. Default: false.
   */
  readonly trustRequestId?: boolean | ((req: Request) => boolean) | undefined;
  /** Outside production, have the order of the app's middleware checked at the first request. Default: true. */
  readonly check?: boolean | undefined;
}

export interface RequestContextPlan {
  readonly trustRequestId: (req: Request) => boolean;
  readonly check: boolean;
}

const KNOWN = ["trustRequestId", "check"] as const satisfies (keyof RequestContextOptions)[];

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
  checker.done();
  return {
    trustRequestId: typeof trust === "function" ? (trust as (req: Request) => boolean) : () => trust === true,
    check,
  };
}
