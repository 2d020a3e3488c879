import { type RequestContextOptions, requestContext } from "./context/index.js";
import { type CorsOptions, cors } from "./cors/index.js";
import { isBag, withoutUndefined } from "./lib/config/checker.js";
import { ConfigError } from "./lib/config/config-error.js";
import { fn, readOptions, type SchemaOf, unread } from "./lib/config/schema.js";
import type { ErrorHandler, Handler } from "./lib/express/handler.js";
import type { RenderProblem } from "./lib/http/problem.js";
import { checkLogger, type Logger } from "./lib/log/logger.js";
import { notFound } from "./not-found.js";
import { type RecoverOptions, recover } from "./recover/index.js";
import { type RequestLogOptions, requestLog } from "./request-log/index.js";
import { type SecurityHeadersOptions, securityHeaders } from "./security-headers/index.js";

/** Each member has the options of one middleware, or `false` to leave that middleware out. */
export interface PorticoOptions {
  /** `requestContext` @defaultValue on */
  readonly context?: RequestContextOptions | false | undefined;
  /** `requestLog` @defaultValue on */
  readonly log?: RequestLogOptions | false | undefined;
  /** `securityHeaders` @defaultValue on */
  readonly headers?: SecurityHeadersOptions | false | undefined;
  /** `cors`, only if it is given, so that an app is not opened to every origin by accident. @defaultValue off */
  readonly cors?: CorsOptions | false | undefined;
  /** `notFound` @defaultValue on */
  readonly notFound?: false | undefined;
  /** `recover` @defaultValue on */
  readonly recover?: RecoverOptions | false | undefined;
  /**
   * For every member that takes a logger and has none of its own; not for a `log` that has a `stream`.
   * @defaultValue none
   */
  readonly logger?: Logger | undefined;
  /**
   * Option of `context`: writes every response of this package that refuses a request or reports an error.
   * @defaultValue none
   */
  readonly render?: RenderProblem | undefined;
}

export interface Portico {
  /** For `app.use`, before the router. */
  readonly before: Handler[];
  /** For `app.use`, after the router. */
  readonly after: (Handler | ErrorHandler)[];
}

export const OPTIONS = () =>
  ({
    context: unread,
    log: unread,
    headers: unread,
    cors: unread,
    notFound: unread,
    recover: unread,
    logger: checkLogger,
    render: fn("must be a function (problem, req, res, error) that writes the answer"),
  }) satisfies SchemaOf<PorticoOptions>;

/**
 * The common middleware in the right order: context, log, security headers and CORS before the router; 404 and recovery
 * after it.
 *
 * @example
 * const { before, after } = portico();
 * app.use(before);
 * app.use(router);
 * app.use(after);
 *
 * @example
 * const { before, after } = portico({
 *   cors: { origin: "https://app.example", credentials: true },
 *   headers: { preset: "api" },
 *   log: { ignore: (req) => req.path === "/healthz" },
 * });
 *
 * @throws {ConfigError} names all problems of the options of all members at once
 * @see docs/portico.md
 */
export function portico(options?: PorticoOptions): Portico {
  const { checker, plan } = readOptions("portico()", OPTIONS, options);
  const { render } = plan;
  // The given object itself: `log` and `recover` with the same logger write one record for a failure.
  const logger = plan.logger && checker.options.logger;
  if (render !== undefined && checker.options.context === false) {
    checker.add("render", "needs the member context, which is left out");
  }

  /** Makes a member's handler, unless it is left out; problems of its options are collected. */
  function makeMember<T>(
    name: Exclude<keyof PorticoOptions, "logger" | "render">,
    factory: (given: never) => T,
  ): T[] {
    const given = checker.options[name];
    if (given === false || (name === "cors" && given === undefined)) return [];
    if (given === true) {
      const remedy =
        name === "cors" ? 'write {} or { origin: "*" } to allow every origin' : "leave it out to have it";
      checker.add(name, `must be the options of the middleware, or false; ${remedy}`);
      return [];
    }
    try {
      return [factory(withCommon(name, given) as never)];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) {
        const { option } = problem;
        checker.problems.push({ ...problem, option: option === "options" ? name : `${name}.${option}` });
      }
      return [];
    }
  }

  /** Adds the common `logger` and `render` to a member's options. */
  function withCommon(name: string, given: unknown): unknown {
    if (given !== undefined && !isBag(given)) return given;
    if (name === "context") return render === undefined ? given : { render, ...withoutUndefined(given) };
    const takesLogger = name === "recover" || (name === "log" && given?.stream === undefined);
    return takesLogger && logger !== undefined ? { logger, ...withoutUndefined(given) } : given;
  }

  const before = [
    ...makeMember("context", requestContext),
    ...makeMember("log", requestLog),
    ...makeMember("headers", securityHeaders),
    ...makeMember("cors", cors),
  ];
  const after = [...makeMember("notFound", notFoundOrProblem), ...makeMember("recover", recover)];
  checker.done();
  return { before: orPassThrough(before), after: orPassThrough(after) };
}

/** Express refuses an empty list. */
function orPassThrough<T>(handlers: T[]): (T | Handler)[] {
  return handlers.length > 0 ? handlers : [passThrough];
}

const passThrough: Handler = (_req, _res, next) => next();

function notFoundOrProblem(given: unknown): Handler {
  if (given === undefined) return notFound();
  throw new ConfigError("notFound()", [
    { option: "options", value: given, reason: "has no options: leave it out to have it, or write false" },
  ]);
}
