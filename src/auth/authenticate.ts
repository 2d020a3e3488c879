import type { Request, Response } from "express";
import { type Adding, describeHandler, type Handler } from "../lib/express/handler.js";
import { type AuthResult, badToken, type PrincipalOf, type Scheme } from "../lib/http/auth-scheme.js";
import { isPreflight } from "../lib/http/method.js";
import { type Auth, type AuthReason, stateOf } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { asError, isThenable } from "../lib/values/thrown.js";
import { type AuthenticateOptions, checkAuthenticate } from "./authenticate-options.js";
import { answerPreflight, refuse } from "./refusal.js";

type Plan = ReturnType<typeof checkAuthenticate>;

/**
 * Finds out who sends a request, or refuses it: 401 with a challenge for each scheme, 400 for malformed credentials.
 *
 * Mount it after `cors` and before what it protects, on a path (`app.use("/admin", authenticate(...))`) or on a route.
 * The schemes are tried in order, and the first one that recognises the credentials decides. Then `contextOf(req).auth`
 * and `req.auth` are `{scheme, principal}`, frozen. If a callback throws or rejects, the error goes to the error handler.
 * The number of attempts is not limited.
 *
 * @example
 * app.use("/admin", authenticate(bearer({ verify })));
 *
 * @example
 * app.get("/feed", authenticate([bearer({ verify }), apiKey({ keys })], { optional: true }), handler);
 *
 * @throws {ConfigError} lists all problems of the arguments
 * @see docs/auth.md
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-11
 */
export function authenticate<S extends Scheme>(
  schemes: S | readonly S[],
  options?: AuthenticateOptions & { readonly optional?: false | undefined; readonly preflight?: undefined },
): Handler & Adding<{ readonly auth: Auth<PrincipalOf<S>> }>;
/** With `optional` or `preflight: "pass"`, a request may pass without a principal. */
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
        if (plan.passesPreflights) next();
        else answerPreflight(req, res);
        return;
      }
      trySchemes(plan, 0, NONE_UNCLAIMED, req, res, next);
    },
    {
      concern: "auth",
      passesPreflights: plan.passesPreflights,
      ...(plan.optional && { optional: true }),
      // Browsers send Basic credentials by themselves. They also send cookies, which the app's own function may read.
      ambient: plan.schemes.some(({ name, source }) => name === "basic" || source !== undefined),
    },
  );
}

/** The scheme that last left the credentials to other schemes of its type, and the reason for the log if none knows them. */
interface Unclaimed {
  readonly scheme: Scheme | undefined;
  readonly reason: AuthReason;
}

const NONE_UNCLAIMED: Unclaimed = { scheme: undefined, reason: "missing" };

/**
 * Tries the schemes from `index` on; waits only if a scheme returns a promise. After a scheme has left the credentials to
 * others of its type, only schemes of that type are tried.
 */
function trySchemes(
  plan: Plan,
  index: number,
  unclaimed: Unclaimed,
  req: Request,
  res: Response,
  next: (error?: unknown) => void,
): void {
  for (let i = index; i < plan.schemes.length; i++) {
    const scheme = plan.schemes[i]!;
    if (unclaimed.scheme !== undefined && scheme.type !== unclaimed.scheme.type) continue;
    let result: AuthResult | Promise<AuthResult>;
    try {
      result = scheme.check(req);
    } catch (error) {
      passError(req, error, next);
      return;
    }
    if (isThenable(result)) {
      result.then(
        (settled) => {
          if (isUndecided(settled))
            trySchemes(plan, i + 1, unclaimedBy(scheme, settled, unclaimed), req, res, next);
          else applyResult(plan, scheme, settled, req, res, next);
        },
        (error: unknown) => passError(req, error, next),
      );
      return;
    }
    if (!isUndecided(result)) {
      applyResult(plan, scheme, result, req, res, next);
      return;
    }
    unclaimed = unclaimedBy(scheme, result, unclaimed);
  }
  if (unclaimed.scheme !== undefined)
    applyResult(plan, unclaimed.scheme, badToken(unclaimed.reason), req, res, next);
  else if (plan.optional) passAnonymous(plan, req, next);
  else reject(plan, 401, "missing", plan.challenges, req, res, next);
}

/** The reason of the scheme that knows the token's issuer is kept: `wrong-issuer` from the others says less. */
function unclaimedBy(scheme: Scheme, result: AuthResult, before: Unclaimed): Unclaimed {
  if (result.kind !== "foreign") return before;
  const { reason } = result;
  const isLess = before.scheme !== undefined && reason === "wrong-issuer";
  return { scheme, reason: isLess ? before.reason : reason };
}

function isUndecided({ kind }: AuthResult): boolean {
  return kind === "absent" || kind === "foreign";
}

/** Keeps the challenges for `requireScopes`, which may have to refuse the anonymous request later. */
function passAnonymous({ challenges, vary }: Plan, req: Request, next: () => void): void {
  stateOf(req).wanted = { challenges, vary };
  next();
}

function applyResult(
  plan: Plan,
  scheme: Scheme,
  result: AuthResult,
  req: Request,
  res: Response,
  next: (error?: unknown) => void,
): void {
  if (result.kind === "passed") {
    try {
      setAuth(req, Object.freeze({ scheme: scheme.name, principal: result.principal }), scheme);
    } catch (error) {
      passError(req, error, next);
      return;
    }
    next();
  } else if (result.kind === "failed") {
    const { status, error, reason } = result;
    const challenges =
      error === undefined
        ? plan.challenges
        : plan.challenges.map((one) => (one === scheme.challenge ? `${one}, error="${error}"` : one));
    reject(plan, status, reason, challenges, req, res, next);
  }
}

/** Catches what a patched `setHeader` throws: after a promise, Express would not catch it. */
function reject(
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
    passError(req, error, next);
    return;
  }
  onReject?.(reason, req);
}

function passError(req: Request, error: unknown, next: (error: unknown) => void): void {
  try {
    setAuth(req, undefined);
  } catch {
    stateOf(req).auth = undefined; // `req` is frozen: clear our own state and report the first error
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
