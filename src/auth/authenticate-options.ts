import type { Request } from "express";
import type { ForeignOptions } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { boolean, fn, oneOf, readOptions, type SchemaOf } from "../lib/config/schema.js";
import { isScheme, type Scheme } from "../lib/http/auth-scheme.js";
import { guardObserver } from "../lib/log/callback-faults.js";
import type { AuthReason } from "../lib/request/state.js";

export interface AuthenticateOptions {
  /** Let requests without credentials pass as anonymous; bad credentials are still refused. @defaultValue `false` */
  readonly optional?: boolean | undefined;
  /**
   * `"pass"` passes a browser's preflight to the next handler, for a `cors` that is mounted after this one.
   * @defaultValue answered here
   */
  readonly preflight?: "pass" | undefined;
  /**
   * Called after the answer to each request that is refused here, with the reason. It cannot change the answer. What it
   * throws is logged once. @defaultValue none
   */
  readonly onReject?: ((reason: AuthReason, req: Request) => unknown) | undefined;
}

export const AUTHENTICATE_OPTIONS = () =>
  ({
    optional: boolean(false),
    preflight: oneOf(["pass"]),
    onReject: fn("must be a function (reason, req)"),
  }) satisfies SchemaOf<AuthenticateOptions>;

export function checkAuthenticate(given: unknown, options: unknown) {
  refuseRequest("authenticate()", given);
  const settings = { foreign: AUTHENTICATE_FOREIGN };
  const { checker, plan } = readOptions("authenticate()", AUTHENTICATE_OPTIONS, options, settings);
  const schemes: unknown[] = Array.isArray(given) ? [...given] : [given];
  const requirement = "must be made by bearer(), basic(), apiKey() or jwt()";
  if (schemes.length === 0)
    checker.add("schemes", `is empty, so every request would be refused; each ${requirement}`, given);
  schemes.forEach((scheme, i) => {
    if (!isScheme(scheme)) checker.addSecret(Array.isArray(given) ? `schemes[${i}]` : "schemes", requirement);
  });
  const valid = schemes.filter(isScheme);
  valid.forEach((scheme, i) => {
    const before = valid.slice(0, i).find((other) => coversAll(other, scheme));
    if (before === undefined) return;
    const reason =
      before.knows === undefined
        ? `another ${before.name} in ${before.header} stands before it; let one verify do both`
        : "another jwt of that issuer and those algorithms stands before it";
    checker.addSecret(`schemes[${i}]`, `would never be tried: ${reason}`);
  });
  return checker.done({
    schemes: valid,
    challenges: [...new Set(valid.map(({ challenge }) => challenge))],
    vary: [...new Set(valid.map(({ header }) => header))].join(", "),
    optional: plan.optional,
    passesPreflights: plan.preflight === "pass",
    onReject: guardObserver("authenticate: the option onReject", plan.onReject),
  });
}

/** Whether the scheme `before` handles all credentials that `scheme` could handle. */
function coversAll(before: Scheme, scheme: Scheme): boolean {
  if (scheme.type !== before.type || scheme.header !== before.header || scheme.source !== before.source)
    return false;
  return before.knows === undefined || (scheme.knows?.every((one) => before.knows?.includes(one)) ?? false);
}

/** Option names of other packages and what to write instead. */
export const AUTHENTICATE_FOREIGN: ForeignOptions = {
  "express-jwt": { credentialsRequired: "give optional: true for credentialsRequired: false" },
  "express-oauth2-jwt-bearer": { authRequired: "give optional: true for authRequired: false" },
  passport: { session: "there is none: mount express-session, and authorize((req) => …)" },
};
