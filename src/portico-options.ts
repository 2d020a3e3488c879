import type { AllowedHostsOptions } from "./allowed-hosts/index.js";
import type { BodyLimitOptions } from "./body-limit/index.js";
import type { CacheOptions } from "./cache/index.js";
import type { CompressOptions } from "./compress/index.js";
import type { RequestContextOptions } from "./context/index.js";
import type { CorsOptions } from "./cors/index.js";
import type { CspReportsOptions } from "./csp-reports/index.js";
import type { CsrfOptions } from "./csrf/index.js";
import { fn, type SchemaOf, unchecked } from "./lib/config/schema.js";
import type { RenderProblem } from "./lib/http/problem.js";
import { checkLogger, type Logger } from "./lib/log/logger.js";
import type { LoadShedOptions } from "./load-shed/index.js";
import type { MetricsOptions } from "./metrics/index.js";
import type { NotFoundOptions } from "./not-found.js";
import type { RecoverOptions } from "./recover/index.js";
import type { RequestLogOptions } from "./request-log/index.js";
import type { SecurityHeadersOptions } from "./security-headers/index.js";
import type { TimeoutOptions } from "./timeout/index.js";

/**
 * Each member has the options of one middleware, or `false` to leave that middleware out. They are in the order in which a
 * request passes the middleware.
 */
export interface PorticoOptions {
  /** `requestContext` @defaultValue on */
  readonly context?: RequestContextOptions | false | undefined;
  /** `requestLog` @defaultValue on */
  readonly log?: RequestLogOptions | false | undefined;
  /** `metrics`, only if it is given: with a `registry` or a `meter`. @defaultValue off */
  readonly metrics?: MetricsOptions | false | undefined;
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
   * `cspReports`, only if it is given, with the `path` that it answers at: `"/csp-reports"`.
   *
   * @defaultValue off
   */
  readonly cspReports?: (CspReportsOptions & { readonly path: string }) | false | undefined;
  /**
   * `csrf`, only if it is given. Without `trustedOrigins` it trusts the exact origins of a `cors` that has `credentials`.
   *
   * @defaultValue off
   */
  readonly csrf?: CsrfOptions | false;
  /** `loadShed`, only if it is given. @defaultValue off */
  readonly loadShed?: LoadShedOptions | false;
  /** `cache`, only if it is given. @defaultValue off */
  readonly cache?: CacheOptions | false | undefined;
  /** `compress`, only if it is given. @defaultValue off */
  readonly compress?: CompressOptions | false | undefined;
  /** `timeout`: the milliseconds, or all options; only if it is given. @defaultValue off */
  readonly timeout?: number | TimeoutOptions | false;
  /** `bodyLimit`: the bytes, a text such as `"100kb"`, or all options; only if it is given. @defaultValue off */
  readonly bodyLimit?: number | string | BodyLimitOptions | false;
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

export type MemberName = Exclude<keyof PorticoOptions, "logger" | "render">;

export const OPTIONS = () =>
  ({
    context: unchecked,
    log: unchecked,
    metrics: unchecked,
    allowedHosts: unchecked,
    headers: unchecked,
    cors: unchecked,
    cspReports: unchecked,
    csrf: unchecked,
    loadShed: unchecked,
    cache: unchecked,
    compress: unchecked,
    timeout: unchecked,
    bodyLimit: unchecked,
    notFound: unchecked,
    recover: unchecked,
    logger: checkLogger,
    render: fn("must be a function (problem, req, res, error) that writes the answer"),
  }) satisfies SchemaOf<PorticoOptions>;

/** The members that are off unless given, and what to write instead of `true`. */
export const OFF_UNLESS_GIVEN: Readonly<
  Partial<Record<MemberName, { readonly remedy: string; readonly isProtection?: boolean }>>
> = {
  metrics: { remedy: "write the registry of prom-client: { registry }" },
  allowedHosts: { remedy: 'write the list of hosts: ["api.example.com"]', isProtection: true },
  cors: { remedy: 'write {} or { origin: "*" } to allow every origin' },
  cspReports: { remedy: 'write the path and who gets the reports: { path: "/csp-reports", logger }' },
  csrf: { remedy: "write {} to have it", isProtection: true },
  loadShed: { remedy: "write {} to have it", isProtection: true },
  cache: { remedy: "write {} to have it" },
  compress: { remedy: "write {} to have it" },
  timeout: { remedy: "write the milliseconds: 30_000", isProtection: true },
  bodyLimit: { remedy: 'write the longest body: "100kb"', isProtection: true },
};
