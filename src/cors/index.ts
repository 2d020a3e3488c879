import type { ServerResponse } from "node:http";
import type { Request, RequestHandler, Response } from "express";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { isPreflight } from "../lib/http/method.js";
import { addVary } from "../lib/http/vary.js";
import { warnOnce } from "../lib/log/callback-faults.js";
import { adopt } from "../lib/request/transport.js";
import { beforeHead } from "../lib/response/intercept.js";
import { asError, whenSettled } from "../lib/values/thrown.js";
import { FILE_ORIGIN, isOrigin } from "./matcher.js";
import { type CorsOptions, type CorsPlan, checkOptions } from "./options.js";
import type { OriginFunction } from "./origins.js";
import { allow, answerOptions } from "./preflight.js";

export type { CorsOptions } from "./options.js";
export type { OriginFunction } from "./origins.js";

/**
 * Lets pages of other origins read the responses (the CORS protocol of the Fetch standard), and answers their preflights.
 *
 * Mount it before the router, before authentication (preflights have no credentials), and before everything that can
 * fail: a page can read an error only if the response has CORS headers. `cors()` without options is open to all: it
 * allows every origin, and answers every OPTIONS request with 200.
 *
 * It protects no data on the server: a request of a refused origin still reaches the app, only its page cannot read the
 * response. Nor does it protect against forged requests.
 *
 * @example
 * app.use(cors());
 *
 * @example
 * app.use(cors({ origin: ["https://app.example", "https://*.app.example"], credentials: true, maxAge: 600 }));
 *
 * @throws {ConfigError} lists all problems of the options
 * @see docs/cors.md
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function cors(options?: CorsOptions): Handler {
  const plan = checkOptions(options);
  const { origins, credentials } = plan;
  const allows = origins.kind === "list" ? origins.matches : undefined;
  return describeHandler(handlerFor(plan), { concern: "cors", credentials, allows });
}

function handlerFor(plan: CorsPlan): RequestHandler {
  const { origins, allowNull, credentials } = plan;
  if (origins.kind === "function") {
    return function cors(req, res, next) {
      adopt(req, res);
      const { origin } = req.headers;
      const isWellFormed = origin !== undefined && origin !== "null" && isOrigin(origin);
      if (!isWellFormed || (credentials && origin === FILE_ORIGIN)) {
        proceed(plan, origin === "null" && allowNull ? origin : undefined, req, res, next);
        return;
      }
      prepare(plan, res); // before the call: an error or a timeout may answer while the function is pending
      callOriginFunction(origins.decide, origin, req, (error, answer) => {
        if (error !== undefined) next(error);
        else if (!res.headersSent) respond(plan, allowOriginValue(answer, origin, plan), req, res, next);
      });
    };
  }
  if (origins.kind === "list") {
    return function cors(req, res, next) {
      adopt(req, res);
      const { origin } = req.headers;
      const allowed = origin !== undefined && (origin === "null" ? allowNull : origins.matches(origin));
      proceed(plan, allowed ? origin : undefined, req, res, next);
    };
  }
  const any = origins.kind === "all" ? "*" : undefined;
  return function cors(req, res, next) {
    adopt(req, res);
    proceed(plan, any, req, res, next);
  };
}

/** Calls the app's function; `done` is called exactly once. */
function callOriginFunction(
  decide: OriginFunction,
  origin: string,
  req: Request,
  done: (error: unknown, answer: unknown) => void,
): void {
  whenSettled(() => decide(origin, req), settled, failed);

  function settled(answer: unknown): void {
    if (answer === undefined) warnOfCallback(decide);
    done(undefined, answer);
  }

  function failed(error: unknown): void {
    if (error instanceof TypeError && /is not a function$/.test(error.message)) warnOfCallback(decide);
    done(asError(error), false);
  }
}

/** The value of Access-Control-Allow-Origin; undefined: refused. */
function allowOriginValue(answer: unknown, origin: string, { credentials }: CorsPlan): string | undefined {
  if (answer === true) return origin;
  if (answer !== "*") return undefined;
  if (!credentials) return "*";
  warnOnce(
    "PORTICO_CORS_STAR_WITH_CREDENTIALS",
    'cors: the function in the option origin returned "*", and credentials is true: browsers refuse the two together ' +
      "(Fetch, section 3.3.5), so the request's origin is refused. Return true for an origin that may read with " +
      "credentials, and mount a second cors without credentials for public resources. See docs/cors.md.",
  );
  return undefined;
}

/** For a function that expects a callback and that `takesCallback` cannot recognise, because its source is hidden. */
function warnOfCallback(decide: OriginFunction): void {
  if (decide.length === 1) return;
  warnOnce(
    "PORTICO_CORS_CALLBACK",
    "cors: the function in the option origin returned undefined, or called something that is no function: the origin is " +
      "refused. If it is written for the cors package, (origin, callback), it must return true or false instead, or a " +
      "promise of one: (origin, req) => boolean. See docs/cors.md.",
  );
}

/** @param allowed the value of Access-Control-Allow-Origin; undefined for a refused origin, or none */
function proceed(
  plan: CorsPlan,
  allowed: string | undefined,
  req: Request,
  res: Response,
  next: () => void,
): void {
  prepare(plan, res);
  respond(plan, allowed, req, res, next);
}

function respond(
  plan: CorsPlan,
  allowed: string | undefined,
  req: Request,
  res: Response,
  next: () => void,
): void {
  if (req.method === "OPTIONS") {
    const preflight = isPreflight(req.method, req.headers);
    if (preflight || plan.answersAllOptions) {
      answerOptions(plan, allowed, preflight, req, res);
      return;
    }
  }
  if (allowed !== undefined) allow(plan, allowed, res);
  next();
}

function prepare({ varies }: CorsPlan, res: ServerResponse): void {
  removeHeaders(res);
  if (!varies) return;
  // On every answer, allowed or not, so that no cache sends the answer for one origin to another. It is added again when
  // the head is written, because a handler may replace Vary.
  addVary(res, "Origin");
  beforeHead(res, addVary, "Origin");
}

/** Removes the headers of an earlier `cors`, so that the one on a route replaces the global one. */
function removeHeaders(res: ServerResponse): void {
  if (res.getHeader("access-control-allow-origin") === undefined) return;
  res.removeHeader("Access-Control-Allow-Origin");
  res.removeHeader("Access-Control-Allow-Credentials");
  res.removeHeader("Access-Control-Expose-Headers");
}
