import type { ServerResponse } from "node:http";
import type { Request, RequestHandler, Response } from "express";
import { answer } from "../http/answer.js";
import { beforeHead } from "../http/response-hooks.js";
import { isThenable } from "../http/thenable.js";
import { asError } from "../http/thrown.js";
import { addVary } from "../http/vary.js";
import { type CorsOptions, type CorsPlan, checkOptions } from "./options.js";
import { MAX_ORIGIN_LENGTH } from "./origin.js";
import { decidePreflight, OPEN } from "./preflight.js";

export type { CorsOptions, OriginFunction } from "./options.js";

/**
 * Lets pages of other origins read the answers (the Fetch standard's CORS protocol), and ends their preflights.
 *
 * Goes before the router, before any auth check (preflights have no credentials), and before all that can fail: a page
 * can read an error only if CORS headers are on it. `cors()` alone is the open recipe: every origin, every OPTIONS
 * request ended with 200. It keeps nobody out: a request of a refused origin reaches the app, and its page is not shown
 * the answer. It is no protection against forged requests.
 *
 * @example
 * app.use(cors());
 *
 * @example
 * app.use(cors({ origin: ["https://app.example", "https://*.app.example"], credentials: true, maxAge: 600 }));
 *
 * @throws {ConfigError} all that is wrong with the options, at once
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function cors(options?: CorsOptions): RequestHandler {
  const plan = checkOptions(options);
  const { origins, allowNull } = plan;

  if (origins.kind === "everyone") {
    return function cors(req, res, next) {
      forget(res);
      proceed(plan, "*", req, res, next);
    };
  }
  if (origins.kind === "nobody") {
    return function cors(req, res, next) {
      forget(res);
      proceed(plan, undefined, req, res, next);
    };
  }
  if (origins.kind === "listed") {
    return function cors(req, res, next) {
      const { origin } = req.headers;
      forget(res);
      varyByOrigin(res);
      const allowed = origin !== undefined && (origin === "null" ? allowNull : origins.matches(origin));
      proceed(plan, allowed ? origin : undefined, req, res, next);
    };
  }
  return function cors(req, res, next) {
    const { origin } = req.headers;
    forget(res);
    varyByOrigin(res);
    if (origin === undefined || origin === "null" || !isOrigin(origin)) {
      proceed(plan, origin === "null" && allowNull ? origin : undefined, req, res, next);
      return;
    }
    ask(origins.ask, origin, req, (error, allowed) => {
      if (error !== undefined) next(error);
      else proceed(plan, allowed ? origin : undefined, req, res, next);
    });
  };
}

/** One origin: Node joins several Origin headers with a comma, and no browser sends them. */
function isOrigin(text: string): boolean {
  return text.length <= MAX_ORIGIN_LENGTH && /^[^\s,]+$/.test(text);
}

/** Asks the app's function; whatever it does, `done` is called once. */
function ask(
  decide: (origin: string, req: Request) => unknown,
  origin: string,
  req: Request,
  done: (error: unknown, allowed: boolean) => void,
): void {
  let answered: unknown;
  try {
    answered = decide(origin, req);
  } catch (error) {
    done(asError(error), false);
    return;
  }
  if (!isThenable(answered)) done(undefined, answered === true);
  else
    Promise.resolve(answered).then(
      (told) => done(undefined, told === true),
      (error) => done(asError(error), false),
    );
}

function proceed(
  plan: CorsPlan,
  allowed: string | undefined,
  req: Request,
  res: Response,
  next: () => void,
): void {
  if (req.method === "OPTIONS") {
    const method = req.headers["access-control-request-method"];
    const isPreflight = req.headers.origin !== undefined && method !== undefined;
    if (isPreflight || plan.all) {
      answerOptions(plan, allowed, isPreflight ? method : undefined, req, res);
      return;
    }
  }
  if (allowed !== undefined) allow(plan, allowed, res);
  next();
}

function allow({ credentials, exposed }: CorsPlan, origin: string, res: ServerResponse): void {
  res.setHeader("Access-Control-Allow-Origin", origin);
  if (credentials) res.setHeader("Access-Control-Allow-Credentials", "true");
  if (exposed !== undefined) res.setHeader("Access-Control-Expose-Headers", exposed);
}

/** `method` is undefined for an OPTIONS that is no preflight, of which `shortCircuit: "all"` is in charge too. */
function answerOptions(
  plan: CorsPlan,
  allowed: string | undefined,
  method: string | undefined,
  req: Request,
  res: Response,
): void {
  const { preflight } = plan;
  const asked = req.headers["access-control-request-headers"];
  if (preflight !== OPEN) {
    addVary(res, "Access-Control-Request-Method, Access-Control-Request-Headers");
  }
  if (allowed === undefined) {
    if (method === undefined) answer(req, res, plan.status, undefined, "");
    else refuse(plan, req, res, `the origin ${req.headers.origin} is not allowed`);
    return;
  }
  const decision = decidePreflight(preflight, method ?? "GET", asked);
  if (!decision.allowed) {
    const { part, value, reason } = decision;
    refuse(plan, req, res, `the ${part} ${value} is not allowed: it ${reason}`);
    return;
  }
  allow(plan, allowed, res);
  res.setHeader("Access-Control-Allow-Methods", decision.methods);
  if (decision.headers !== undefined) res.setHeader("Access-Control-Allow-Headers", decision.headers);
  if (plan.maxAge !== undefined) res.setHeader("Access-Control-Max-Age", plan.maxAge);
  answer(req, res, plan.status, undefined, "");
}

function refuse(plan: CorsPlan, req: Request, res: Response, why: string): void {
  if (!plan.explain) answer(req, res, 403, undefined, "");
  else {
    res.setHeader("X-Content-Type-Options", "nosniff");
    answer(req, res, 403, "text/plain; charset=utf-8", `CORS preflight refused: ${why}.\n`);
  }
}

/** Of two instances, a global one and a route's, the later replaces what the earlier said. */
function forget(res: ServerResponse): void {
  if (res.getHeader("access-control-allow-origin") === undefined) return;
  res.removeHeader("Access-Control-Allow-Origin");
  res.removeHeader("Access-Control-Allow-Credentials");
  res.removeHeader("Access-Control-Expose-Headers");
}

/** On every answer, allowed or not, so that no cache gives one origin's to another; a handler's own Vary is kept. */
function varyByOrigin(res: ServerResponse): void {
  addVary(res, "Origin");
  beforeHead(res, addVary, "Origin");
}
