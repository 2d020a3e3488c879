import type { Request, RequestHandler } from "express";
import { ConfigError } from "../lib/config/config-error.js";
import { refuseRequest } from "../lib/config/not-called.js";
import type { AnyHandler, Handler } from "../lib/express/handler.js";
import { asError, whenSettled } from "../lib/values/thrown.js";
import type { Subject } from "./errors.js";
import { checkHandler, compile, compose, firstOf, nameOf } from "./members.js";
import { callNext, run } from "./run.js";

export type Predicate<Params = Request["params"]> = (req: Request<Params>) => boolean | Promise<boolean>;

/** What the predicate's result means for the handler: run it, skip it, or fail. */
type Verdict = "run" | "skip" | Error;

/**
 * Runs a handler only for requests for which the predicate returns `true`. Other requests skip it.
 *
 * A result that is not a boolean is an error, as is a predicate that throws or rejects, so that a handler that protects
 * something is never skipped by mistake.
 *
 * @example
 * app.use(when((req) => req.method === "POST", limitUploads));
 *
 * @example
 * app.use(when(async (req) => await flags.isOn("audit", req.hostname), chain(identify, audit).then(record)));
 *
 * @throws {ConfigError} with all problems of the arguments
 */
export function when<Params = Request["params"]>(predicate: Predicate<Params>, handler: AnyHandler): Handler {
  return guard("when", predicate, handler, (result) => {
    if (result === true) return "run";
    if (result === false) return "skip";
    const kind = result === null ? "null" : typeof result;
    return new TypeError(`when(${nameOf(handler)}): the predicate must return true or false, not ${kind}`);
  });
}

/**
 * Runs a handler unless the predicate returns `true`. Any other result runs it, so that what it protects stays
 * protected. A predicate that throws or rejects is an error.
 *
 * @example
 * const open = new Set(["/login", "/health"]);
 * app.use(unless((req) => open.has(req.path), authenticate(bearer({ verify }))));
 *
 * @example
 * app.use(unless((req) => req.secure, redirectToHttps));
 *
 * @throws {ConfigError} with all problems of the arguments
 */
export function unless<Params = Request["params"]>(
  predicate: Predicate<Params>,
  handler: AnyHandler,
): Handler {
  return guard("unless", predicate, handler, (result) => (result === true ? "skip" : "run"));
}

function guard<Params>(
  kind: "when" | "unless",
  predicate: Predicate<Params>,
  handler: AnyHandler,
  decide: (result: unknown) => Verdict,
): Handler {
  refuseRequest(`${kind}()`, predicate);
  const problems = checkHandler(`${kind}()`, "handler", handler);
  if (typeof predicate !== "function") {
    const reason = "must be a function of the request that returns true or false, or a promise of one";
    problems.unshift({ option: "predicate", value: predicate, reason });
  }
  if (problems.length > 0) throw new ConfigError(`${kind}()`, problems);
  const steps = compile([handler], false);
  const first = firstOf(steps);
  const subject: Subject = { name: `${kind}(${nameOf(handler)})` };

  const guarding: RequestHandler = (req, res, next) => {
    const applyVerdict = (result: unknown) => {
      const verdict = decide(result);
      if (verdict === "run") run(first, req, res, next);
      else callNext(subject, req, res, next, verdict === "skip" ? undefined : verdict);
    };
    whenSettled(
      () => predicate(req as Request<Params>),
      applyVerdict,
      (error) => callNext(subject, req, res, next, asError(error)),
    );
  };
  return compose(guarding, kind, steps);
}
