import type { Request } from "express";
import type { Checker, ForeignOptions } from "../lib/config/checker.js";
import { boolean, fn, readOptions, type SchemaOf } from "../lib/config/schema.js";
import { isLoopback, parseOriginPattern } from "../lib/http/origin.js";
import { guardObserver } from "../lib/log/callback-faults.js";
import { inProduction } from "../lib/values/environment.js";
import type { CsrfReason } from "./decide.js";

export interface CsrfOptions {
  /**
   * Origins of other sites whose pages may send requests that change something: exact ones, such as `https://app.example`.
   *
   * @defaultValue none
   */
  readonly trustedOrigins?: readonly string[] | undefined;
  /** Whether `trustedOrigins` may name `http:` origins other than loopback. @defaultValue `false` */
  readonly allowInsecureOrigins?: boolean | undefined;
  /** If `true`, nothing is refused: `onReject` is called, and the request goes on. @defaultValue `false` */
  readonly reportOnly?: boolean | undefined;
  /** Called for each request that is refused, or would be. What it throws is reported once. @defaultValue none */
  readonly onReject?: ((reason: CsrfReason, req: Request) => unknown) | undefined;
  /** Whether the answer says which header decided. @defaultValue `true`, but `false` in production */
  readonly explain?: boolean | undefined;
}

export const OPTIONS = () =>
  ({
    trustedOrigins,
    allowInsecureOrigins: boolean(false),
    reportOnly: boolean(false),
    onReject: fn<(reason: CsrfReason, req: Request) => unknown>("must be a function (reason, req)"),
    explain: boolean(!inProduction()),
  }) satisfies SchemaOf<CsrfOptions>;

export function checkOptions(options: CsrfOptions | undefined) {
  const { checker, plan } = readOptions("csrf()", OPTIONS, options, { foreign: FOREIGN });
  return checker.done({ ...plan, onReject: guardObserver("csrf: the option onReject", plan.onReject) });
}

function trustedOrigins(checker: Checker, option: string): ReadonlySet<string> {
  const given = checker.options[option];
  if (given === undefined) {
    if (option in checker.options)
      checker.add(
        option,
        "is undefined: is an environment variable missing? Write [] to trust no other site",
        undefined,
        "ERR_PORTICO_UNDEFINED_OPTION",
      );
    return new Set();
  }
  if (!Array.isArray(given)) {
    checker.add(option, 'must be a list of origins: ["https://app.example"]');
    return new Set();
  }
  const allowInsecure = checker.options.allowInsecureOrigins === true;
  given.forEach((entry: unknown, i) => {
    const problem = originProblem(entry, allowInsecure);
    if (problem !== undefined) checker.add(`${option}[${i}]`, problem, entry);
  });
  return new Set(given as string[]);
}

function originProblem(entry: unknown, allowInsecure: boolean): string | undefined {
  if (typeof entry !== "string")
    return 'must be one exact origin as a string: "https://app.example"; functions and RegExps could trust too much';
  if (entry === "*") return "would trust every site: leave csrf out, or mount it only where it is wanted";
  const pattern = parseOriginPattern(entry);
  if (typeof pattern === "string") return pattern;
  if (pattern.subdomains || pattern.port === "*" || pattern.host === "*")
    return "must be one exact origin: a pattern would trust sites that do not exist yet; list them";
  if (pattern.scheme === "file") return "is the origin of all files on all computers: take it out";
  if (pattern.scheme === "http" && !isLoopback(pattern) && !allowInsecure)
    return `is not secure: anyone on the network path could send as it; write ${JSON.stringify(entry.replace("http:", "https:"))}, or allowInsecureOrigins: true`;
  return undefined;
}

/** Option names of other packages and what to write instead. */
export const FOREIGN: ForeignOptions = {
  csurf: {
    cookie: "there is no token and no cookie: take it out",
    sessionKey: "there is no token and no session: take it out",
    ignoreMethods: "GET, HEAD, OPTIONS and QUERY pass: exempt routes by mounting, or with unless()",
    value: "there is no token: take it out",
  },
  "csrf-csrf": {
    getSecret: "there is no token: take it out",
    getSessionIdentifier: "there is no token: take it out",
    cookieName: "there is no cookie: take it out",
    cookieOptions: "there is no cookie: take it out",
    ignoredMethods: "GET, HEAD, OPTIONS and QUERY pass: exempt routes by mounting, or with unless()",
    skipCsrfProtection: "exempt routes by mounting, or with unless()",
  },
  hono: {
    origin: "trustedOrigins",
    secFetchSite: "trust the other site by name: trustedOrigins",
  },
};
