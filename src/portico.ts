import { bodyLimit } from "./body-limit/index.js";
import { cache } from "./cache/index.js";
import { compress } from "./compress/index.js";
import { requestContext } from "./context/index.js";
import { cors } from "./cors/index.js";
import { csrf } from "./csrf/index.js";
import { type Checker, isBag, withoutUndefined } from "./lib/config/checker.js";
import { readOptions } from "./lib/config/schema.js";
import type { ErrorHandler, Handler } from "./lib/express/handler.js";
import { loadShed } from "./load-shed/index.js";
import { metrics } from "./metrics/index.js";
import { notFound } from "./not-found.js";
import { collect, makeAllowedHosts, makeCspReports, trustedByCors } from "./portico-members.js";
import { type MemberName, OFF_UNLESS_GIVEN, OPTIONS, type PorticoOptions } from "./portico-options.js";
import { recover } from "./recover/index.js";
import { requestLog } from "./request-log/index.js";
import { securityHeaders } from "./security-headers/index.js";
import { timeout } from "./timeout/index.js";

export type { PorticoOptions } from "./portico-options.js";

export interface Portico {
  /** For `app.use`, before the router. */
  readonly before: Handler[];
  /** For `app.use`, after the router. */
  readonly after: (Handler | ErrorHandler)[];
}

/**
 * All middleware of an app in the right order. Before the router: context, log, metrics, allowed hosts, security headers,
 * CORS, violation reports, protection against forged requests, load shedding, cache, compression, timeout and the limit of
 * bodies; after it: 404, 405 and recovery.
 *
 * @example
 * const { before, after } = portico();
 * app.use(before);
 * app.use(router);
 * app.use(after);
 *
 * @example
 * const { before, after } = portico({
 *   allowedHosts: ["api.example"],
 *   cors: { origin: "https://app.example", credentials: true },
 *   csrf: {},
 *   headers: { preset: "api" },
 *   log: { ignore: (req) => req.path === "/healthz" },
 *   timeout: 30_000,
 *   bodyLimit: "1mb",
 * });
 *
 * @throws {ConfigError} names all problems of the options of all members at once
 * @see docs/portico.md
 */
export function portico(options?: PorticoOptions): Portico {
  const { checker, plan } = readOptions("portico()", OPTIONS, options);
  if (plan.render !== undefined && checker.options.context === false) {
    checker.add("render", "needs the member context, which is left out");
  }
  // The given object itself: `log` and `recover` with the same logger write one record for a failure.
  const logger = plan.logger && checker.options.logger;
  const common = { logger, render: plan.render };

  /** Makes a member's handler, unless it is left out; problems of its options are collected. */
  const make = <T>(name: MemberName, factory: (given: never) => T): T[] => {
    if (!isGiven(checker, name)) return [];
    const given = withCommon(checker, name, common);
    const handler = collect(checker.problems, () => factory(given as never), name);
    return handler === undefined ? [] : [handler];
  };
  const before = [
    ...make("context", requestContext),
    ...make("log", requestLog),
    ...make("metrics", metrics),
    ...make("allowedHosts", makeAllowedHosts),
    ...make("headers", securityHeaders),
    ...make("cors", cors),
    ...make("cspReports", makeCspReports),
    ...make("csrf", csrf),
    ...make("loadShed", loadShed),
    ...make("cache", cache),
    ...make("compress", compress),
    ...make("timeout", timeout),
    ...make("bodyLimit", bodyLimit),
  ];
  const after = [...make("notFound", notFound), ...make("recover", recover)];
  checker.done();
  return { before: orPassThrough(before), after: orPassThrough(after) };
}

/** Express refuses an empty list. */
function orPassThrough<T>(handlers: T[]): (T | Handler)[] {
  return handlers.length > 0 ? handlers : [passThrough];
}

const passThrough: Handler = (_req, _res, next) => next();

/** Whether a member is to be made. A value that is probably a mistake, such as `true`, is a problem. */
function isGiven(checker: Checker, name: MemberName): boolean {
  const given = checker.options[name];
  const isOff = OFF_UNLESS_GIVEN[name];
  if (given === false || (isOff !== undefined && !(name in checker.options))) return false;
  if (given === undefined && isOff?.isProtection) {
    const reason = "is undefined: is an environment variable missing? Write false to leave it out";
    checker.add(name, reason, undefined, "ERR_PORTICO_UNDEFINED_OPTION");
    return false;
  }
  if (given === true) {
    const remedy = isOff?.remedy ?? "leave it out to have it";
    checker.add(name, `must be the options of the middleware, or false; ${remedy}`);
    return false;
  }
  return given !== undefined || isOff === undefined;
}

/** A member's options with the `logger` and the `render` that all have in common. */
function withCommon(
  { options, problems }: Checker,
  name: MemberName,
  { logger, render }: { readonly logger: unknown; readonly render: unknown },
): unknown {
  const given = options[name];
  if (given !== undefined && !isBag(given)) return given;
  switch (name) {
    case "csrf": {
      const isRight = problems.length === 0; // the problems of cors need not be reported twice
      return { trustedOrigins: isRight ? trustedByCors(options.cors) : [], ...given };
    }
    case "context":
      return render === undefined ? given : { render, ...withoutUndefined(given) };
    case "log":
    case "recover":
    case "cspReports": {
      const hasPlace = logger === undefined || (name === "log" && given?.stream !== undefined);
      return hasPlace ? given : { logger, ...withoutUndefined(given) };
    }
    default:
      return given;
  }
}
