import type { ForeignOptions } from "../lib/config/checker.js";
import { ConfigError } from "../lib/config/config-error.js";
import { boolean, integer, oneOf, readOptions, type SchemaOf } from "../lib/config/schema.js";
import { inProduction } from "../lib/values/environment.js";
import { checkOrigins, type OriginFunction } from "./origins.js";
import {
  allowedHeaders,
  allowedMethods,
  exposedHeaders,
  OPEN,
  type PreflightPolicy,
  preflightPolicy,
} from "./policy.js";

export interface CorsOptions {
  /**
   * The origins whose pages may read the responses: `"*"` (all), an origin, a pattern (`https://*.example.com`: one or
   * more labels; `http://localhost:*`: any port), an anchored RegExp, a list of these, a function, or `false` (none).
   * @defaultValue `"*"`
   */
  readonly origin?: string | RegExp | readonly (string | RegExp)[] | OriginFunction | false | undefined;
  /**
   * Methods that a preflight may ask for; GET, HEAD and POST are always allowed.
   * @defaultValue GET, HEAD, PUT, PATCH, POST, DELETE
   */
  readonly methods?: string | readonly string[] | undefined;
  /** Request headers that a preflight may ask for, or `"*"`. @defaultValue what the preflight asks for */
  readonly allowedHeaders?: string | readonly string[] | undefined;
  /** Response headers that pages may read, besides those that CORS safelists, or `"*"`. @defaultValue none */
  readonly exposedHeaders?: string | readonly string[] | undefined;
  /** Whether pages may read responses to requests with cookies or other credentials. @defaultValue `false` */
  readonly credentials?: boolean | undefined;
  /** How many seconds browsers may cache the answer to a preflight, 0 to 86,400. @defaultValue not sent */
  readonly maxAge?: number | undefined;
  /** Whether the origin `null` (sandboxed frames, `file:`) is allowed. @defaultValue `false` */
  readonly allowNull?: boolean | undefined;
  /** With `credentials`: whether `origin` may allow `http:` origins other than loopback. @defaultValue `false` */
  readonly allowInsecureOrigins?: boolean | undefined;
  /** Which OPTIONS requests are answered here. @defaultValue `"all"` if `origin` is `"*"`, else `"preflight"` */
  readonly shortCircuit?: "all" | "preflight" | undefined;
  /** The status of those answers, 200 to 299. @defaultValue `200` with `"all"`, `204` with `"preflight"` */
  readonly optionsSuccessStatus?: number | undefined;
  /** Whether the answer to a refused preflight says why. @defaultValue `true`, in production `false` */
  readonly explain?: boolean | undefined;
}

export const OPTIONS = () =>
  ({
    origin: checkOrigins,
    methods: allowedMethods,
    allowedHeaders,
    exposedHeaders,
    credentials: boolean(false),
    maxAge: integer({ min: 0, max: 86_400, unit: "seconds" }),
    allowNull: boolean(false),
    allowInsecureOrigins: boolean(false),
    shortCircuit: oneOf(["all", "preflight"]),
    optionsSuccessStatus: integer({ min: 200, max: 299 }),
    explain: boolean(!inProduction()),
  }) satisfies SchemaOf<CorsOptions>;

export type CorsPlan = ReturnType<typeof checkOptions>;

export function checkOptions(options: CorsOptions | undefined) {
  if (typeof options === "function") {
    const reason = "must be an object; to decide for each request write origin: (origin, req) => boolean";
    throw new ConfigError("cors()", [{ option: "options", value: options, reason }]);
  }
  const { checker, plan } = readOptions("cors()", OPTIONS, options, { foreign: FOREIGN });
  const { origin: origins, methods, exposedHeaders: exposed, credentials, maxAge, allowNull, explain } = plan;
  if (credentials && allowNull) {
    const reason = "cannot be combined with credentials: every sandboxed frame has the origin null";
    checker.add("allowNull", reason, undefined, "ERR_PORTICO_UNSAFE_OPTION");
  }
  if (allowNull && checker.options.origin === false) {
    const reason =
      "cannot be combined with origin: false, which allows no origin; for null alone write origin: () => false";
    checker.add("allowNull", reason, undefined, "ERR_PORTICO_CONFLICTING_OPTIONS");
  }
  const alone = Object.values(checker.options).every((value) => value === undefined);
  const preflight = alone ? OPEN : preflightPolicy(methods, plan.allowedHeaders, credentials);
  const shortCircuit = plan.shortCircuit ?? (origins.kind === "all" ? "all" : "preflight");
  const answersAllOptions = shortCircuit === "all";
  return checker.done({
    ...{ origins, preflight, exposed, credentials, allowNull, explain },
    /** Whether the answer depends on the request's origin. */
    varies: origins.kind === "list" || origins.kind === "function",
    /** The Vary of an answered OPTIONS. */
    optionsVary: optionsVary(preflight),
    maxAge: maxAge === undefined ? undefined : String(maxAge),
    /** Whether every OPTIONS is answered, not only preflights. */
    answersAllOptions,
    status: plan.optionsSuccessStatus ?? (answersAllOptions ? 200 : 204),
  });
}

/** Option names of other packages and what to write instead. */
export const FOREIGN: ForeignOptions = {
  cors: {
    preflightContinue: 'it is shortCircuit: "preflight", which passes on every OPTIONS that is no preflight',
    headers: "allowedHeaders",
  },
  fastify: {
    strictPreflight: 'it is shortCircuit: "preflight", the default where origin is not "*"',
    preflight: "preflights are always answered here",
    hideOptionsRoute: "there is none: no route is made",
  },
  koa: {
    allowMethods: "methods",
    allowHeaders: "allowedHeaders",
    exposeHeaders: "exposedHeaders",
    keepHeadersOnError: "headers always stay on errors",
    secureContext:
      "there is none: it is crossOriginOpenerPolicy and crossOriginEmbedderPolicy of securityHeaders",
    privateNetworkAccess: "there is none: browsers have put it on hold",
  },
  hono: { allowMethods: "methods", allowHeaders: "allowedHeaders", exposeHeaders: "exposedHeaders" },
};

/** Except with `cors()` without options, the presence of Origin decides whether an OPTIONS is answered at all. */
function optionsVary(preflight: PreflightPolicy): string {
  return preflight === OPEN
    ? "Access-Control-Request-Headers"
    : "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
}
