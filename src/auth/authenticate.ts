import type { Request, Response } from "express";
import { Checker } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { type Adding, describeHandler, type Handler } from "../lib/express/handler.js";
import {
  type AuthResult,
  badToken,
  isScheme,
  type PrincipalOf,
  type Scheme,
} from "../lib/http/auth-scheme.js";
import { isPreflight } from "../lib/http/method.js";
import { guardObserver } from "../lib/log/callback-faults.js";
import { type Auth, type AuthReason, stateOf } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { asError, isThenable } from "../lib/values/thrown.js";
import { AUTHENTICATE_FOREIGN } from "./foreign.js";
import { endPreflight, refuse } from "./refusal.js";

export interface AuthenticateOptions {
  /** Let requests without credentials pass, as anonymous; those with bad ones are refused all the same. Default: false. */
  readonly optional?: boolean | undefined;
  /**
   * What becomes of a browser's preflight that reaches this: it is ended, or, with `"pass"`, handed on, for a `cors`
   * further in. Default: it is ended.
   */
  readonly preflight?: "pass" | undefined;
  /**
   * Hears of each request that is refused here, and why, after the answer. It changes nothing: what it throws is reported
   * once.
   */
  readonly onReject?: ((reason: AuthReason, req: Request) => unknown) | undefined;
}

interface Plan {
  readonly schemes: readonly Scheme[];
  readonly challenges: readonly string[];
  readonly vary: string;
  readonly optional: boolean;
  readonly pass: boolean;
  readonly onReject: ((reason: AuthReason, req: Request) => void) | undefined;
}

/**
 * Says who is calling, or returns early: 401 with a challenge for each scheme, 400 for what is not well-formed.
 *
 * Goes after `cors` and before what it protects: on a path (`app.use("/admin", authenticate(...))`) or on a route. Schemes
 * are asked in their order; the first that knows what to say of the credentials decides. `contextOf(req).auth` is then `{scheme,
 * principal}`, frozen; so is `req.auth`. A callback that throws or rejects reaches the error handler. It does not limit
 * how often one may try.
 *
 * @example
 * app.use("/admin", authenticate(bearer({ verify })));
 *
 * @example
 * app.get("/feed", authenticate([bearer({ verify }), apiKey({ keys })], { optional: true }), handler);
 *
 * @throws {ConfigError} all that is wrong with the arguments, at once
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-11
 */
export function authenticate<S extends Scheme>(
  schemes: S | readonly S[],
  options?: AuthenticateOptions & { readonly optional?: false | undefined; readonly preflight?: undefined },
): Handler & Adding<{ readonly auth: Auth<PrincipalOf<S>> }>;
/** With `optional`, and for a preflight that is handed on, there may be nobody. */
export function authenticate<S extends Scheme>(
  schemes: S | readonly S[],
  options: AuthenticateOptions | undefined,
): Handler & Adding<{ readonly auth?: Auth<PrincipalOf<S>> | undefined }>;
export function authenticate(schemes: Scheme | readonly Scheme[], options?: AuthenticateOptions): Handler {
  const plan = checkAuthenticate(schemes, options);

  return describeHandler(
    function authenticate(req, res, next) {
      adopt(req, res);
      if (isPreflight(req.method, req.headers)) {
        if (plan.pass) next();
        else endPreflight(req, res);
        return;
      }
      ask(plan, 0, NONE_LEFT, req, res, next);
    },
    { concern: "auth", passesPreflights: plan.pass },
  );
}

/** Credentials of a type that a scheme left to others of that type. */
interface Left {
  readonly scheme: Scheme | undefined;
  readonly reason: AuthReason;
}

const NONE_LEFT: Left = { scheme: undefined, reason: "missing" };

/**
 * Asks the schemes from `index` on, and waits only for one that must be waited for. Once a scheme has left credentials
 * to others of its type, only those are asked.
 */
function ask(
  plan: Plan,
  index: number,
  left: Left,
  req: Request,
  res: Response,
  next: (error?: unknown) => void,
): void {
  for (let i = index; i < plan.schemes.length; i++) {
    const scheme = plan.schemes[i]!;
    if (left.scheme !== undefined && scheme.type !== left.scheme.type) continue;
    let outcome: AuthResult | Promise<AuthResult>;
    try {
      outcome = scheme.check(req);
    } catch (error) {
      fail(req, error, next);
      return;
    }
    if (isThenable(outcome)) {
      outcome.then(
        (told) => {
          if (isOpen(told)) ask(plan, i + 1, leftBy(scheme, told, left), req, res, next);
          else settle(plan, scheme, told, req, res, next);
        },
        (error: unknown) => fail(req, error, next),
      );
      return;
    }
    if (!isOpen(outcome)) {
      settle(plan, scheme, outcome, req, res, next);
      return;
    }
    left = leftBy(scheme, outcome, left);
  }
  if (left.scheme !== undefined) settle(plan, left.scheme, badToken(left.reason), req, res, next);
  else if (plan.optional) goOnAnonymous(plan, req, next);
  else turnAway(plan, 401, "missing", plan.challenges, req, res, next);
}

/** What is known of a token by the scheme of its issuer says more than that it is of nobody else's. */
function leftBy(scheme: Scheme, outcome: AuthResult, before: Left): Left {
  if (outcome.kind !== "foreign") return before;
  const { reason } = outcome;
  const isLess = before.scheme !== undefined && reason === "wrong-issuer";
  return { scheme, reason: isLess ? before.reason : reason };
}

function isOpen({ kind }: AuthResult): boolean {
  return kind === "absent" || kind === "foreign";
}

/** Whoever asks for more than that further in tells the caller how to come back with it. */
function goOnAnonymous({ challenges, vary }: Plan, req: Request, next: () => void): void {
  stateOf(req).wanted = { challenges, vary };
  next();
}

function settle(
  plan: Plan,
  scheme: Scheme,
  outcome: AuthResult,
  req: Request,
  res: Response,
  next: (error?: unknown) => void,
): void {
  if (outcome.kind === "passed") {
    try {
      setAuth(req, Object.freeze({ scheme: scheme.name, principal: outcome.principal }), scheme);
    } catch (error) {
      fail(req, error, next);
      return;
    }
    next();
  } else if (outcome.kind === "failed") {
    const { status, error, reason } = outcome;
    const challenges =
      error === undefined
        ? plan.challenges
        : plan.challenges.map((one) => (one === scheme.challenge ? `${one}, error="${error}"` : one));
    turnAway(plan, status, reason, challenges, req, res, next);
  }
}

/** What is thrown on the way (a `setHeader` of somebody's own) nobody else would catch, once a scheme was waited for. */
function turnAway(
  { vary, onReject }: Plan,
  status: 400 | 401,
  reason: AuthReason,
  challenges: readonly string[],
  req: Request,
  res: Response,
  next: (error: unknown) => void,
): void {
  try {
    setAuth(req, undefined);
    refuse(req, res, status, challenges, vary, reason);
  } catch (error) {
    fail(req, error, next);
    return;
  }
  onReject?.(reason, req);
}

function fail(req: Request, error: unknown, next: (error: unknown) => void): void {
  try {
    setAuth(req, undefined);
  } catch {
    stateOf(req).auth = undefined; // a request that cannot be written to: what counts is this, and the first error
  }
  next(asError(error));
}

function setAuth(req: Request, auth: Auth | undefined, scheme?: Scheme): void {
  const state = stateOf(req);
  state.challenge = scheme;
  if (auth === undefined && state.auth === undefined) return;
  (req as Request & { auth?: Auth | undefined }).auth = auth;
  state.auth = auth;
}

function checkAuthenticate(given: unknown, options: unknown): Plan {
  refuseRequest("authenticate()", given);
  const checker = Checker.of(
    "authenticate()",
    options,
    ["optional", "preflight", "onReject"],
    "",
    AUTHENTICATE_FOREIGN,
  );
  const schemes: unknown[] = Array.isArray(given) ? [...given] : [given];
  const wanted = "must be made by bearer(), basic(), apiKey() or jwt()";
  if (schemes.length === 0) checker.add("schemes", `has none: nobody could enter; each ${wanted}`, given);
  schemes.forEach((scheme, i) => {
    if (!isScheme(scheme)) checker.addSecret(Array.isArray(given) ? `schemes[${i}]` : "schemes", wanted);
  });
  const valid = schemes.filter(isScheme);
  valid.forEach((scheme, i) => {
    const before = valid.slice(0, i).find((other) => knowsAll(other, scheme));
    if (before === undefined) return;
    const reason =
      before.knows === undefined
        ? `another ${before.name} in ${before.header} stands before it; let one verify do both`
        : "another jwt of that issuer and those algorithms stands before it";
    checker.addSecret(`schemes[${i}]`, `would never be asked: ${reason}`);
  });
  const plan: Plan = {
    schemes: valid,
    challenges: [...new Set(valid.map(({ challenge }) => challenge))],
    vary: [...new Set(valid.map(({ header }) => header))].join(", "),
    optional: checker.boolean("optional", false),
    pass: checker.oneOf("preflight", ["pass"]) === "pass",
    onReject: guardObserver(
      "authenticate: the option onReject",
      checker.function("onReject", "must be a function (reason, req)"),
    ),
  };
  checker.done();
  return plan;
}

/** Whether nothing is left of a scheme's credentials for it to see. */
function knowsAll(before: Scheme, scheme: Scheme): boolean {
  if (scheme.type !== before.type || scheme.header !== before.header || scheme.source !== before.source)
    return false;
  return before.knows === undefined || (scheme.knows?.every((one) => before.knows?.includes(one)) ?? false);
}
