import type { Checker } from "../lib/config/checker.js";
import { show } from "../lib/config/config-error.js";
import { names } from "../lib/config/schema.js";
import { isToken } from "../lib/http/tokens.js";
import { words } from "../lib/values/words.js";

/** What preflights may ask for: the compiled options. */
export interface PreflightPolicy {
  /** `"*"`: all methods. */
  readonly methods: ReadonlySet<string> | "*";
  /** The value of Access-Control-Allow-Methods; empty: not sent; undefined: the requested method. */
  readonly allowMethods: string | undefined;
  /** In lower case; `"*"`: all headers; `"requested"`: the requested headers, within limits. */
  readonly headers: ReadonlySet<string> | "*" | "requested";
  /** The value of Access-Control-Allow-Headers; empty: not sent; undefined: the requested headers. */
  readonly allowHeaders: string | undefined;
}

/** For `cors()` without options: the same answer to every preflight. */
export const OPEN: PreflightPolicy = {
  methods: "*",
  allowMethods: "GET, POST, OPTIONS, PUT, DELETE, HEAD, PATCH",
  headers: "*",
  allowHeaders: "*",
};

const DEFAULT_METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];

export function preflightPolicy(
  methods: ReturnType<typeof allowedMethods>,
  headers: ReturnType<typeof allowedHeaders>,
  credentials: boolean,
): PreflightPolicy {
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

export function allowedMethods(checker: Checker, option: string): string[] | "*" {
  const given = names()(checker, option) ?? DEFAULT_METHODS;
  for (const method of given) {
    if (!isToken(method)) checker.add(option, `has ${show(method)}, which is no method`);
    else if (/^(?:connect|trace|track)$/i.test(method))
      checker.add(option, `has ${method}, which no page can send; take it out`);
    else if (method === "patch")
      checker.add(option, 'has "patch", which matches no request: methods are case-sensitive; write "PATCH"');
  }
  if (given.includes("*")) return "*";
  // Browsers upper-case these six, and no others (Fetch, section 2.2.1: normalize a method).
  const normal = given.map((method) =>
    /^(?:get|head|post|put|delete|options)$/i.test(method) ? method.toUpperCase() : method,
  );
  return [...new Set(normal)];
}

export function allowedHeaders(checker: Checker, option: string): string[] | "*" | "requested" {
  const given = names()(checker, option);
  if (given === undefined) return "requested";
  checkNames(checker, option, given, requestHeaderProblem);
  return given.includes("*") ? "*" : unique(given);
}

export function exposedHeaders(checker: Checker, option: string): string | undefined {
  const given = names()(checker, option);
  if (given === undefined) return undefined;
  checkNames(checker, option, given, responseHeaderProblem);
  if (given.includes("*")) {
    if (checker.options.credentials === true) {
      checker.add(
        option,
        'cannot be "*" with credentials: browsers then read it as a header of that name; list the headers',
      );
    }
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

/** Request headers that scripts cannot set (Fetch, section 2.2.2: forbidden request-header). */
const FORBIDDEN_REQUEST_HEADERS = new Set(
  words(
    "accept-charset accept-encoding access-control-request-headers access-control-request-method",
    "connection content-length cookie cookie2 date dnt expect host keep-alive origin referer set-cookie",
    "te trailer transfer-encoding upgrade via",
  ),
);

const CORS_RESPONSE_HEADERS = new Set(
  words(
    "access-control-allow-origin access-control-allow-credentials access-control-allow-methods",
    "access-control-allow-headers access-control-max-age access-control-expose-headers",
  ),
);

const CORS_REQUEST_HEADERS = new Set(
  words("origin access-control-request-method access-control-request-headers"),
);

/** Why a name cannot be in `allowedHeaders`; undefined if it can. */
function requestHeaderProblem(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (CORS_RESPONSE_HEADERS.has(lower)) return `has ${name}, which is a response header; take it out`;
  if (FORBIDDEN_REQUEST_HEADERS.has(lower) || /^(?:proxy-|sec-)/.test(lower)) {
    return `has ${name}, which no page can send, so browsers never ask for it; take it out`;
  }
  return undefined;
}

/** Why a name cannot be in `exposedHeaders`; undefined if it can. */
function responseHeaderProblem(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (lower === "set-cookie" || lower === "set-cookie2")
    return `has ${name}, which no page can read; take it out`;
  if (CORS_REQUEST_HEADERS.has(lower)) return `has ${name}, which is a request header; take it out`;
  if (CORS_RESPONSE_HEADERS.has(lower))
    return `has ${name}, which only the browser itself reads; take it out`;
  return undefined;
}
