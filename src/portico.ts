import { type AllowedHostsOptions, allowedHosts } from "./allowed-hosts/index.js";
import { type RequestContextOptions, requestContext } from "./context/index.js";
import { type CorsOptions, cors } from "./cors/index.js";
import { type CsrfOptions, csrf } from "./csrf/index.js";
import { isBag, withoutUndefined } from "./lib/config/checker.js";
import { ConfigError } from "./lib/config/config-error.js";
import { fn, readOptions, type SchemaOf, unread } from "./lib/config/schema.js";
import type { ErrorHandler, Handler } from "./lib/express/handler.js";
import type { RenderProblem } from "./lib/http/problem.js";
import { checkLogger, type Logger } from "./lib/log/logger.js";
import { type NotFoundOptions, notFound } from "./not-found.js";
import { type RecoverOptions, recover } from "./recover/index.js";
import { type RequestLogOptions, requestLog } from "./request-log/index.js";
import { type SecurityHeadersOptions, securityHeaders } from "./security-headers/index.js";

/** Each member has the options of one middleware, or `false` to leave that middleware out. */
export interface PorticoOptions {
  /** `requestContext` @defaultValue on */
  readonly context?: RequestContextOptions | false | undefined;
  /** `requestLog` @defaultValue on */
  readonly log?: RequestLogOptions | false | undefined;
  /** `allowedHosts`: the list of hosts, or `{ hosts, … }`; only if it is given. @defaultValue off */
  readonly allowedHosts?:
    | string
    | readonly string[]
    | (AllowedHostsOptions & { readonly hosts: string | readonly string[] })
    | false;
  /** `securityHeaders` @defaultValue on */
  readonly headers?: SecurityHeadersOptions | false | undefined;
  /** `cors`, only if it is given, so that an app is not opened to every origin by accident. @defaultValue off */
  readonly cors?: CorsOptions | false | undefined;
  /**
   * `csrf`, only if it is given. Without `trustedOrigins` it trusts the exact origins of a `cors` that has `credentials`.
   *
   * @defaultValue off
   */
  readonly csrf?: CsrfOptions | false;
  /** `notFound` @defaultValue on */
  readonly notFound?: NotFoundOptions | false | undefined;
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
    allowedHosts: unread,
    headers: unread,
    cors: unread,
    csrf: unread,
    notFound: unread,
    recover: unread,
    logger: checkLogger,
    render: fn("must be a function (problem, req, res, error) that writes the answer"),
  }) satisfies SchemaOf<PorticoOptions>;

/**
 * The common middleware in the right order: context, log, allowed hosts, security headers, CORS and protection against
 * forged requests before the router; 404, 405 and recovery after it.
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
    const isOff = OFF_UNLESS_GIVEN[name];
    if (given === false || (isOff !== undefined && !(name in checker.options))) return [];
    if (given === undefined && isOff?.isProtection) {
      const reason = "is undefined: is an environment variable missing? Write false to leave it out";
      checker.add(name, reason, undefined, "ERR_PORTICO_UNDEFINED_OPTION");
      return [];
    }
    if (given === undefined && isOff !== undefined) return [];
    if (given === true) {
      const remedy = isOff?.remedy ?? "leave it out to have it";
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
    if (name === "csrf") {
      const isRight = checker.problems.length === 0; // the problems of cors need not be reported twice
      return { trustedOrigins: isRight ? trustedByCors(checker.options.cors) : [], ...given };
    }
    if (name === "context") return render === undefined ? given : { render, ...withoutUndefined(given) };
    const takesLogger = name === "recover" || (name === "log" && given?.stream === undefined);
    return takesLogger && logger !== undefined ? { logger, ...withoutUndefined(given) } : given;
  }

  const before = [
    ...makeMember("context", requestContext),
    ...makeMember("log", requestLog),
    ...makeMember("allowedHosts", makeAllowedHosts),
    ...makeMember("headers", securityHeaders),
    ...makeMember("cors", cors),
    ...makeMember("csrf", csrf),
  ];
  const after = [...makeMember("notFound", notFound), ...makeMember("recover", recover)];
  checker.done();
  return { before: orPassThrough(before), after: orPassThrough(after) };
}

/** Express refuses an empty list. */
function orPassThrough<T>(handlers: T[]): (T | Handler)[] {
  return handlers.length > 0 ? handlers : [passThrough];
}

const passThrough: Handler = (_req, _res, next) => next();

/** The members that are off unless given, and what to write instead of `true`. */
const OFF_UNLESS_GIVEN: Readonly<
  Record<string, { readonly remedy: string; readonly isProtection?: boolean } | undefined>
> = {
  allowedHosts: { remedy: 'write the list of hosts: ["api.example.com"]', isProtection: true },
  cors: { remedy: 'write {} or { origin: "*" } to allow every origin' },
  csrf: { remedy: "write {} to have it", isProtection: true },
};

function makeAllowedHosts(given: NonNullable<PorticoOptions["allowedHosts"]>): Handler {
  if (!isBag(given)) return allowedHosts(given as string | string[]);
  const { hosts, ...options } = given as unknown as AllowedHostsOptions & { readonly hosts: string[] };
  return allowedHosts(hosts, options);
}

/**
 * The origins whose pages `cors` lets read with cookies, so that `csrf` lets them send: exact ones alone. Never patterns,
 * RegExps and functions, `null`, files, or `http:` beyond loopback. `cors` checks how they are written.
 */
function trustedByCors(given: unknown): string[] {
  if (!isBag(given) || given.credentials !== true) return [];
  const list = typeof given.origin === "string" ? given.origin.split(",") : given.origin;
  if (!Array.isArray(list)) return [];
  const texts = list.flatMap((entry: unknown) => (typeof entry === "string" ? [entry.trim()] : []));
  return texts.filter((text) => /^[a-z][a-z\d+.-]*:\/\/[^*]+$/.test(text) && !INSECURE.test(text));
}

const INSECURE = /^http:\/\/(?!(?:[\w.-]+\.)?localhost(?::|$)|127(?:\.\d+){3}(?::|$)|\[::1\](?::|$))/;
