import type { Request } from "express";
import { Checker } from "../lib/config/checker.js";
import { ConfigError, show } from "../lib/config/config-error.js";
import { isToken } from "../lib/http/tokens.js";
import { inProduction } from "../lib/values/environment.js";
import { FOREIGN } from "./foreign.js";
import { requestHeaderProblem, responseHeaderProblem } from "./headers.js";
import { checkOrigins, type OriginRule } from "./origins.js";
import { OPEN, type PreflightPolicy } from "./preflight.js";

/**
 * Decides about one origin: `true` allows it, and `"*"` (not with `credentials`) allows every origin for this request.
 * Called only with a well-formed origin, never with `null`.
 */
export type OriginFunction = (origin: string, req: Request) => boolean | "*" | Promise<boolean | "*">;

export interface CorsOptions {
  /**
   * The origins whose pages may read the responses: `"*"` (all), an origin, a pattern (`https://*.example.com`: one or
   * more labels; `http://localhost:*`: any port), an anchored RegExp, a list of these, a function, or `false` (none).
   *
   * @defaultValue `"*"`
   */
  readonly origin?: string | RegExp | readonly (string | RegExp)[] | OriginFunction | false | undefined;
  /**
   * Methods that a preflight may ask for; GET, HEAD and POST are always allowed.
   *
   * @defaultValue GET, HEAD, PUT, PATCH, POST, DELETE
   */
  readonly methods?: string | readonly string[] | undefined;
  /** Request headers that a preflight may ask for, or `"*"`. @defaultValue what it asks for, up to 1,024 bytes */
  readonly allowedHeaders?: string | readonly string[] | undefined;
  /** Response headers that pages may read, besides those that CORS safelists, or `"*"`. @defaultValue none */
  readonly exposedHeaders?: string | readonly string[] | undefined;
  /** Whether pages may read responses to requests with cookies or other credentials. @defaultValue `false` */
  readonly credentials?: boolean | undefined;
  /** How many seconds browsers may cache the answer to a preflight, 0 to 86,400. @defaultValue not sent: 5 seconds */
  readonly maxAge?: number | undefined;
  /** Whether the origin `null` (sandboxed frames, `file:`) is allowed. @defaultValue `false` */
  readonly allowNull?: boolean | undefined;
  /** With `credentials`: whether `origin` may allow `http:` origins other than loopback. @defaultValue `false` */
  readonly allowInsecureOrigins?: boolean | undefined;
  /** Which OPTIONS requests are answered here. @defaultValue `"all"` if `origin` is `"*"`, else `"preflight"` */
  readonly shortCircuit?: "all" | "preflight" | undefined;
  /** The status of those answers, 200 to 299. @defaultValue `200` with `shortCircuit: "all"`, else `204` */
  readonly optionsSuccessStatus?: number | undefined;
  /** Whether the answer to a refused preflight says why. @defaultValue `true`, but `false` in production */
  readonly explain?: boolean | undefined;
}

export interface CorsPlan {
  readonly origins: OriginRule;
  readonly preflight: PreflightPolicy;
  readonly exposed: string | undefined;
  readonly credentials: boolean;
  readonly maxAge: string | undefined;
  readonly allowNull: boolean;
  /** Whether the answer depends on the request's origin. */
  readonly varies: boolean;
  /** The Vary of an answered OPTIONS. */
  readonly optionsVary: string;
  /** Whether every OPTIONS is answered, not only preflights. */
  readonly answersAllOptions: boolean;
  readonly status: number;
  readonly explain: boolean;
}

const KNOWN = [
  "origin",
  "methods",
  "allowedHeaders",
  "exposedHeaders",
  "credentials",
  "maxAge",
  "allowNull",
  "allowInsecureOrigins",
  "shortCircuit",
  "optionsSuccessStatus",
  "explain",
] as const satisfies (keyof CorsOptions)[];

const DEFAULT_METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];

export function checkOptions(options: CorsOptions | undefined): CorsPlan {
  if (typeof options === "function") {
    throw new ConfigError("cors()", [
      {
        option: "options",
        value: options,
        reason: "must be an object; to decide for each request write origin: (origin, req) => boolean",
      },
    ]);
  }
  const checker = Checker.of("cors()", options, KNOWN, "", FOREIGN);
  const credentials = checker.boolean("credentials", false);
  const allowNull = checker.boolean("allowNull", false);
  if (credentials && allowNull)
    checker.add(
      "allowNull",
      "cannot be combined with credentials: every sandboxed frame has the origin null",
      undefined,
      "ERR_PORTICO_UNSAFE_OPTION",
    );
  if (allowNull && options?.origin === false) {
    checker.add(
      "allowNull",
      "cannot be combined with origin: false, which allows no origin; for null alone write origin: () => false",
      undefined,
      "ERR_PORTICO_CONFLICTING_OPTIONS",
    );
  }
  const allowInsecure = checker.boolean("allowInsecureOrigins", false);
  const origins = checkOrigins(checker, { credentials, allowInsecure, allowNull });
  const allowsAll = origins.kind === "all";
  const shortCircuit = checker.oneOf("shortCircuit", ["all", "preflight"], allowsAll ? "all" : "preflight");
  const answersAllOptions = shortCircuit === "all";
  const maxAge = checker.integer("maxAge", { min: 0, max: 86_400, unit: "seconds" });
  const alone = Object.values(checker.options).every((value) => value === undefined);
  const preflight = alone ? OPEN : preflightPolicy(checker, credentials);
  const plan: CorsPlan = {
    origins,
    preflight,
    varies: origins.kind === "list" || origins.kind === "function",
    optionsVary: optionsVary(preflight),
    exposed: exposedHeaders(checker, credentials),
    credentials,
    maxAge: maxAge === undefined ? undefined : String(maxAge),
    allowNull,
    answersAllOptions,
    status: checker.integer("optionsSuccessStatus", { min: 200, max: 299 }, answersAllOptions ? 200 : 204),
    explain: checker.boolean("explain", !inProduction()),
  };
  checker.done();
  return plan;
}

/** Except in the open recipe, the presence of Origin decides whether an OPTIONS is answered at all. */
function optionsVary(preflight: PreflightPolicy): string {
  return preflight === OPEN
    ? "Access-Control-Request-Headers"
    : "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
}

function preflightPolicy(checker: Checker, credentials: boolean): PreflightPolicy {
  const methods = allowedMethods(checker);
  const headers = allowedHeaders(checker);
  // With credentials, browsers read `*` as a method or header of that name (Fetch, section 3.3.5).
  const literal = credentials ? undefined : "*";
  return {
    methods: methods === "*" ? "*" : new Set(methods),
    allowMethods: methods === "*" ? literal : methods.join(","),
    headers:
      typeof headers === "string"
        ? headers === "*" && credentials
          ? "requested"
          : headers
        : new Set(headers.map((name) => name.toLowerCase())),
    allowHeaders: headers === "*" ? literal : headers === "requested" ? undefined : headers.join(","),
  };
}

function allowedMethods(checker: Checker): string[] | "*" {
  const given = checker.names("methods") ?? DEFAULT_METHODS;
  for (const method of given) {
    if (!isToken(method)) checker.add("methods", `has ${show(method)}, which is no method`);
    else if (/^(?:connect|trace|track)$/i.test(method))
      checker.add("methods", `has ${method}, which no page can send; take it out`);
    else if (method === "patch")
      checker.add(
        "methods",
        'has "patch", which matches no request: methods are case-sensitive; write "PATCH"',
      );
  }
  if (given.includes("*")) return "*";
  // Browsers upper-case these six, and no others (Fetch, section 2.2.1: normalize a method).
  const normal = given.map((method) =>
    /^(?:get|head|post|put|delete|options)$/i.test(method) ? method.toUpperCase() : method,
  );
  return [...new Set(normal)];
}

function allowedHeaders(checker: Checker): string[] | "*" | "requested" {
  const given = checker.names("allowedHeaders");
  if (given === undefined) return "requested";
  checkNames(checker, "allowedHeaders", given, requestHeaderProblem);
  return given.includes("*") ? "*" : unique(given);
}

function exposedHeaders(checker: Checker, credentials: boolean): string | undefined {
  const given = checker.names("exposedHeaders");
  if (given === undefined) return undefined;
  checkNames(checker, "exposedHeaders", given, responseHeaderProblem);
  if (given.includes("*")) {
    if (credentials)
      checker.add(
        "exposedHeaders",
        'cannot be "*" with credentials: browsers then read it as a header of that name; list the headers',
      );
    return "*";
  }
  return given.length === 0 ? undefined : unique(given).join(",");
}

function checkNames(
  checker: Checker,
  option: string,
  names: readonly string[],
  problemOf: (name: string) => string | undefined,
): void {
  for (const name of names) {
    const problem = isToken(name) ? problemOf(name) : `has ${show(name)}, which is no header name`;
    if (problem !== undefined) checker.add(option, problem);
  }
}

function unique(names: readonly string[]): string[] {
  const seen = new Set<string>();
  return names.filter((name) => seen.size < seen.add(name.toLowerCase()).size);
}
