import type { Request, Response } from "express";
import { ConfigError } from "../lib/config/config-error.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { oneOf, readOptions, type SchemaOf } from "../lib/config/schema.js";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { bearerChallenge } from "../lib/http/auth-scheme.js";
import { isPreflight } from "../lib/http/method.js";
import { type Auth, type RequestState, stateOf } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { asError, whenSettled } from "../lib/values/thrown.js";
import { answerPreflight, refuse } from "./refusal.js";

export interface AuthorizeOptions {
  /**
   * `"pass"` passes a browser's preflight to the next handler, for a `cors` that is mounted after this one.
   * @defaultValue answered here
   */
  readonly preflight?: "pass" | undefined;
}

export const AUTHORIZE_OPTIONS = () => ({ preflight: oneOf(["pass"]) }) satisfies SchemaOf<AuthorizeOptions>;

/**
 * Lets a request pass only if the predicate returns `true`, or a promise of it; else the answer is 403.
 *
 * Mount it on a route, after `authenticate`; without `authenticate` it answers anonymous requests with 403 too. If the
 * predicate throws or rejects, the error goes to the error handler.
 *
 * @example
 * app.get("/secret", authorize(isAuthorized), handler);
 *
 * @example
 * app.delete("/orders/:id", authorize(async (req) => (await ownerOf(req.params.id)) === contextOf(req).auth?.principal.sub));
 *
 * @throws {ConfigError} lists all problems of the arguments
 * @see docs/auth.md
 */
export function authorize<Params = Request["params"]>(
  predicate: (req: Request<Params>) => boolean | Promise<boolean>,
  options?: AuthorizeOptions,
): Handler {
  const passesPreflights = checkAuthorize(predicate, options);

  return describeHandler(
    function authorize(req, res, next) {
      adopt(req, res);
      if (isPreflight(req.method, req.headers)) {
        if (passesPreflights) next();
        else answerPreflight(req, res);
        return;
      }
      whenSettled(
        () => predicate(req as Request<Params>),
        (result) => decide(result, req, res, next),
        (error) => next(asError(error)),
      );
    },
    { concern: "auth", passesPreflights },
  );
}

function decide(result: unknown, req: Request, res: Response, next: (error?: unknown) => void): void {
  if (result === true) {
    next();
    return;
  }
  try {
    refuse(req, res, 403, [], "Authorization", "forbidden");
  } catch (error) {
    next(asError(error)); // after a promise, Express would not catch it
  }
}

function checkAuthorize(predicate: unknown, options: unknown): boolean {
  refuseRequest("authorize()", predicate);
  const { checker, plan } = readOptions("authorize()", AUTHORIZE_OPTIONS, options);
  if (typeof predicate !== "function") {
    checker.add(
      "predicate",
      "must be a function of the request that returns true or false, or a promise of one",
      predicate,
    );
  }
  return checker.done(plan.preflight === "pass");
}

/**
 * Lets a request pass if its principal has all the scopes, in `scope` or `scp` (a list, or text with spaces, RFC 6749
 * section 3.3). Else the answer is 403, for tokens with `error="insufficient_scope"`, and 401 for anonymous requests.
 *
 * Mount it after `authenticate`, and after the route's `cors` if there is one: preflights are answered here.
 *
 * @example
 * app.get("/orders", authenticate(bearer({ verify })), requireScopes("orders:read"), handler);
 *
 * @example
 * app.post("/orders", requireScopes("orders:read", "orders:write"), handler);
 *
 * @throws {ConfigError} if a name cannot be a scope
 * @see docs/auth.md
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3.1
 */
export function requireScopes(...names: string[]): Handler {
  refuseRequest("requireScopes()", names[0]);
  // RFC 6749, section 3.3: scope-token.
  const wrong = names.filter((name) => typeof name !== "string" || !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(name));
  if (wrong.length > 0 || names.length === 0) {
    const reason = "must be scopes: names without spaces, quotes and backslashes, at least one";
    throw new ConfigError("requireScopes()", [{ option: "names", value: names, reason }]);
  }
  const needed = [...names];
  const error = `error="insufficient_scope", scope="${needed.join(" ")}"`;

  return describeHandler(
    function requireScopes(req, res, next) {
      adopt(req, res);
      const state = stateOf(req);
      const { auth } = state;
      if (isPreflight(req.method, req.headers)) answerPreflight(req, res);
      else if (auth === undefined) {
        const { challenges, vary } = state.wanted ?? ANY_TOKEN;
        refuse(req, res, 401, challenges, vary, "missing");
      } else if (hasAll(auth, needed)) next();
      else {
        const { type = "Bearer", parameters = "" } = state.challenge ?? {};
        const challenges = isToken(auth) ? [`${type} ${error}${parameters}`] : [];
        refuse(req, res, 403, challenges, "Authorization", "scope");
      }
    },
    { concern: "auth" },
  );
}

const ANY_TOKEN: NonNullable<RequestState["wanted"]> = {
  challenges: [bearerChallenge({}).challenge],
  vary: "Authorization",
};

/** `insufficient_scope` is defined for bearer tokens only (RFC 6750). */
function isToken({ scheme }: Auth): boolean {
  return scheme === "bearer" || scheme === "jwt";
}

function hasAll({ principal }: Auth, needed: readonly string[]): boolean {
  const held = [...listOf(principal.scope), ...listOf(principal.scp)];
  return needed.every((name) => held.includes(name));
}

/** Issuers use a list or a text with spaces, in either claim. */
function listOf(scopes: unknown): readonly unknown[] {
  if (typeof scopes === "string") return scopes.split(" ");
  return Array.isArray(scopes) ? scopes : [];
}
