import type { Request, RequestHandler, Response } from "express";
import { Checker } from "../config/check.js";
import { ConfigError } from "../config/config-error.js";
import { type Auth, factsOf } from "../http/facts.js";
import { isPreflight } from "../http/preflight.js";
import { isThenable } from "../http/thenable.js";
import { asError } from "../http/thrown.js";
import { endPreflight, refuse } from "./refusal.js";

export interface AuthorizeOptions {
  /** As with `authenticate`. Default: a browser's preflight is ended here. */
  readonly preflight?: "pass" | undefined;
}

/**
 * Lets a request pass if the predicate says `true`, and nothing but `true`; else it returns early with 403, and what comes
 * after never runs.
 *
 * Goes on a route, after `authenticate`; alone it is 403 for the anonymous too. A predicate that throws or rejects reaches
 * the error handler.
 *
 * @example
 * app.get("/secret", authorize(isAuthorized), handler);
 *
 * @example
 * app.delete("/orders/:id", authorize(async (req) => (await ownerOf(req.params.id)) === contextOf(req).auth?.principal.sub));
 *
 * @throws {ConfigError} all that is wrong with the arguments, at once
 */
export function authorize(
  predicate: (req: Request) => boolean | Promise<boolean>,
  options?: AuthorizeOptions,
): RequestHandler {
  const pass = checkAuthorize(predicate, options);

  return function authorize(req, res, next) {
    if (isPreflight(req.method, req.headers)) {
      if (pass) next();
      else endPreflight(req, res);
      return;
    }
    let told: unknown;
    let waits: boolean;
    try {
      told = predicate(req);
      waits = isThenable(told);
    } catch (error) {
      next(asError(error));
      return;
    }
    if (!waits) decide(told, req, res, next);
    else
      Promise.resolve(told as PromiseLike<unknown>).then(
        (later) => decide(later, req, res, next),
        (error) => next(asError(error)),
      );
  };
}

function decide(told: unknown, req: Request, res: Response, next: () => void): void {
  if (told === true) next();
  else refuse(req, res, 403, [], "Authorization");
}

function checkAuthorize(predicate: unknown, options: unknown): boolean {
  const checker = Checker.of("authorize()", options, ["preflight"]);
  if (typeof predicate !== "function") {
    checker.add(
      "predicate",
      "must be a function of the request that returns true or false, or a promise of one",
      predicate,
    );
  }
  const pass = checker.oneOf("preflight", ["pass"]) === "pass";
  checker.done();
  return pass;
}

/**
 * Lets a request pass whose principal has all the scopes: `scope` (names with spaces between, RFC 6749 section 3.3) or `scp`
 * (a list). Else 403 with `error="insufficient_scope"`; 401 for the anonymous. Goes after `authenticate`.
 *
 * @example
 * app.get("/orders", authenticate(bearer({ verify })), requireScopes("orders:read"), handler);
 *
 * @example
 * app.post("/orders", requireScopes("orders:read", "orders:write"), handler);
 *
 * @throws {ConfigError} if a name is not a scope's
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3.1
 */
export function requireScopes(...names: string[]): RequestHandler {
  // RFC 6749, section 3.3: scope-token.
  const wrong = names.filter((name) => typeof name !== "string" || !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(name));
  if (wrong.length > 0 || names.length === 0) {
    const reason = "must be scopes: names without spaces, quotes and backslashes, at least one";
    throw new ConfigError("requireScopes()", [{ option: "names", value: names, reason }]);
  }
  const needed = [...names];
  const challenge = `Bearer error="insufficient_scope", scope="${needed.join(" ")}"`;

  return function requireScopes(req, res, next) {
    const { auth } = factsOf(req);
    if (isPreflight(req.method, req.headers)) endPreflight(req, res);
    else if (auth === undefined) refuse(req, res, 401, ['Bearer realm="api"'], "Authorization");
    else if (hasAll(auth, needed)) next();
    else refuse(req, res, 403, [challenge], "Authorization");
  };
}

function hasAll({ principal }: Auth, needed: readonly string[]): boolean {
  const { scope, scp } = principal;
  const held: unknown[] = typeof scope === "string" ? scope.split(" ") : Array.isArray(scp) ? scp : [];
  return needed.every((name) => held.includes(name));
}
