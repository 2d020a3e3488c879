import { type RequestContextOptions, requestContext } from "./context/index.js";
import { type CorsOptions, cors } from "./cors/index.js";
import { type Bag, Checker, isBag } from "./lib/config/checker.js";
import { ConfigError } from "./lib/config/config-error.js";
import type { ErrorHandler, Handler } from "./lib/express/handler.js";
import type { RenderProblem } from "./lib/http/problem.js";
import { checkLogger, type Logger } from "./lib/log/logger.js";
import { notFound } from "./not-found.js";
import { type RecoverOptions, recover } from "./recover/index.js";
import { type RequestLogOptions, requestLog } from "./request-log/index.js";
import { type SecurityHeadersOptions, securityHeaders } from "./security-headers/index.js";

/** Each member: its concern's options, or `false` to leave the concern out. */
export interface PorticoOptions {
  /** For every member that takes one and has none of its own; not for a `log` that has a `stream`. */
  readonly logger?: Logger | undefined;
  /** `context`'s: writes every answer of this package that refuses or fails. */
  readonly render?: RenderProblem | undefined;
  readonly context?: RequestContextOptions | false | undefined;
  readonly log?: RequestLogOptions | false | undefined;
  readonly headers?: SecurityHeadersOptions | false | undefined;
  /** Off unless given: an all-in-one must not open an app to every origin without a word. */
  readonly cors?: CorsOptions | false | undefined;
  readonly recover?: RecoverOptions | false | undefined;
  readonly notFound?: false | undefined;
}

export interface Portico {
  /** For `app.use`, before the router. */
  readonly before: Handler[];
  /** For `app.use`, after the router. */
  readonly after: (Handler | ErrorHandler)[];
}

const KNOWN = [
  "context",
  "log",
  "headers",
  "cors",
  "recover",
  "notFound",
  "logger",
  "render",
] as const satisfies (keyof PorticoOptions)[];

/**
 * All of it in the right order: context, log, security headers and CORS before the router; 404 and recovery after it.
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
 * @throws {ConfigError} all that is wrong with the options of all concerns, at once
 */
export function portico(options?: PorticoOptions): Portico {
  const checker = Checker.of("portico()", options, KNOWN);
  // As it was given: a log and a recover with the same one write one record for a failure.
  const logger = checkLogger(checker) && checker.options.logger;
  const render = checker.function(
    "render",
    "must be a function (problem, req, res, error) that writes the answer",
  );
  if (render !== undefined && checker.options.context === false) {
    checker.add("render", "needs the member context, which is left out");
  }

  /** Makes a concern's handler, unless it is left out; what is wrong with its options is kept for the end. */
  function make<T>(
    name: Exclude<keyof PorticoOptions, "logger" | "render">,
    factory: (given: never) => T,
  ): T[] {
    const given = checker.options[name];
    if (given === false || (name === "cors" && given === undefined)) return [];
    if (given === true) {
      const remedy =
        name === "cors" ? 'write {} or { origin: "*" } to allow every origin' : "leave it out to have it";
      checker.add(name, `must be the options of the concern, or false; ${remedy}`);
      return [];
    }
    try {
      return [factory(share(name, given) as never)];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) {
        const { option } = problem;
        checker.problems.push({ ...problem, option: option === "options" ? name : `${name}.${option}` });
      }
      return [];
    }
  }

  /** A member's options, with what all have in common. */
  function share(name: string, given: unknown): unknown {
    if (given !== undefined && !isBag(given)) return given;
    if (name === "context") return render === undefined ? given : { render, ...defined(given) };
    const takesLogger = name === "recover" || (name === "log" && given?.stream === undefined);
    return takesLogger && logger !== undefined ? { logger, ...defined(given) } : given;
  }

  const before = [
    ...make("context", requestContext),
    ...make("log", requestLog),
    ...make("headers", securityHeaders),
    ...make("cors", cors),
  ];
  const after = [...make("notFound", notFoundOrProblem), ...make("recover", recover)];
  checker.done();
  return { before: orNothing(before), after: orNothing(after) };
}

/** An explicit undefined is the default, and the default is what all have in common. */
function defined(options: Bag | undefined): Bag {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined));
}

/** Express refuses an empty list. */
function orNothing<T>(handlers: T[]): (T | Handler)[] {
  return handlers.length > 0 ? handlers : [nothing];
}

const nothing: Handler = (_req, _res, next) => next();

function notFoundOrProblem(given: unknown): Handler {
  if (given === undefined) return notFound();
  throw new ConfigError("notFound()", [
    { option: "options", value: given, reason: "has no options: leave it out to have it, or write false" },
  ]);
}
