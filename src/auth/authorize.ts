import type { Request, Response } from "express";
import { Checker } from "../lib/config/checker.js";
import { refuseRequest } from "../lib/config/not-called.js";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { isPreflight } from "../lib/http/method.js";
import { adopt } from "../lib/request/transport.js";
import { asError, isThenable } from "../lib/values/thrown.js";
import { answerPreflight, refuse } from "./refusal.js";

export interface AuthorizeOptions {
  /**
   * `"pass"` hands a browser's preflight to the next handler, for a `cors` that is mounted after this one.
   *
   * @defaultValue a preflight that comes this far is answered here, with an empty 204
   */
  readonly preflight?: "pass" | undefined;
}

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
      let result: unknown;
      let isPending: boolean;
      try {
        result = predicate(req as Request<Params>);
        isPending = isThenable(result);
      } catch (error) {
        next(asError(error));
        return;
      }
      if (!isPending) decide(result, req, res, next);
      else
        Promise.resolve(result as PromiseLike<unknown>).then(
          (settled) => decide(settled, req, res, next),
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
  const checker = Checker.of("authorize()", options, ["preflight"]);
  if (typeof predicate !== "function") {
    checker.add(
      "predicate",
      "must be a function of the request that returns true or false, or a promise of one",
      predicate,
    );
  }
  const passesPreflights = checker.oneOf("preflight", ["pass"]) === "pass";
  checker.done();
  return passesPreflights;
}
