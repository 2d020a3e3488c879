import type { Request } from "express";
import type { Checker } from "../lib/config/checker.js";
import { show } from "../lib/config/config-error.js";
import { isLoopback, type OriginPattern, parseOriginPattern } from "../lib/http/origin.js";
import { compileMatcher, type Matcher, serialize } from "./matcher.js";
import { checkRegExp } from "./regexp.js";

/**
 * Decides about one origin: `true` allows it, and `"*"` (not with `credentials`) allows every origin for this request.
 * Called only with a well-formed origin, never with `null`.
 */
export type OriginFunction = (origin: string, req: Request) => boolean | "*" | Promise<boolean | "*">;

/** The option `origin`, compiled. */
export type OriginRule =
  | { readonly kind: "all" }
  | { readonly kind: "none" }
  | { readonly kind: "list"; readonly matches: Matcher }
  | { readonly kind: "function"; readonly decide: OriginFunction };

const ALL: OriginRule = { kind: "all" };
const NONE: OriginRule = { kind: "none" };

/** Other options that decide which origins can be allowed. */
export type OriginContext = ReturnType<typeof contextOf>;

const contextOf = ({ options }: Checker) => ({
  credentials: options.credentials === true,
  allowInsecure: options.allowInsecureOrigins === true,
  allowNull: options.allowNull === true,
});

export function checkOrigins(checker: Checker): OriginRule {
  const { options } = checker;
  const context = contextOf(checker);
  const { credentials } = context;
  if (!("origin" in options)) return allUnless(checker, credentials);
  const { origin } = options;
  if (origin === undefined) {
    const remedy = 'leave the option out, or write "*", to allow every origin';
    checker.add(
      "origin",
      `is undefined: is an environment variable missing? ${credentials ? "With credentials it must be given" : `If that is intended, ${remedy}`}`,
      undefined,
      "ERR_PORTICO_UNDEFINED_OPTION",
    );
    return NONE;
  }
  if (origin === false) return NONE;
  if (origin === true) {
    checker.add(
      "origin",
      `must not be true, which would allow every origin by name; ${credentials ? "list the origins" : 'write "*" to allow every origin, or list the origins'}`,
    );
    return NONE;
  }
  if (typeof origin === "function") return functionRule(checker, origin as OriginFunction);
  const list: unknown[] = Array.isArray(origin) ? origin : [origin];
  if (list.length === 0) {
    const remedy = context.allowNull ? "() => false to allow null alone" : "false to allow no origin";
    checker.add("origin", `is an empty list; write ${remedy}`);
  }
  const listed = listRule(checker, list, context);
  return list.includes("*") ? allUnless(checker, credentials) : listed;
}

function allUnless(checker: Checker, credentials: boolean): OriginRule {
  if (credentials) {
    checker.add(
      "origin",
      'cannot be "*" with credentials: browsers refuse it (Fetch, section 3.3.5); list the origins',
      "*",
      "ERR_PORTICO_UNSAFE_OPTION",
    );
  }
  return ALL;
}

function functionRule(checker: Checker, decide: OriginFunction): OriginRule {
  if (takesCallback(decide)) {
    checker.add(
      "origin",
      "must not take a callback: return true or false, or a promise of one: (origin, req) => boolean",
    );
  }
  return { kind: "function", decide };
}

function listRule(checker: Checker, list: readonly unknown[], context: OriginContext): OriginRule {
  const patterns: OriginPattern[] = [];
  const regExps: RegExp[] = [];
  const refuse = (pattern: OriginPattern) =>
    context.credentials ? credentialsProblem(pattern, context.allowInsecure) : undefined;
  list.forEach((entry, i) => {
    if (entry === "*") return;
    const option = list.length === 1 && !Array.isArray(checker.options.origin) ? "origin" : `origin[${i}]`;
    const add = (reason: string) => checker.add(option, reason, entry);
    if (entry instanceof RegExp || Object.prototype.toString.call(entry) === "[object RegExp]") {
      const pattern = new RegExp((entry as RegExp).source, (entry as RegExp).flags); // a copy, which the app cannot change
      const problem = checkRegExp(pattern, context);
      if (problem !== undefined) add(problem);
      regExps.push(pattern);
    } else if (entry === "null") {
      add(`is not one origin: pages of many sites have it; ${nullRemedy(list.length === 1, context)}`);
    } else if (typeof entry !== "string") {
      add(`must be an origin such as "https://app.example", or an anchored RegExp, not ${show(entry)}`);
    } else {
      const pattern = parseOriginPattern(entry, refuse);
      if (typeof pattern === "string") add(pattern);
      else patterns.push(pattern);
    }
  });
  return { kind: "list", matches: compileMatcher(patterns, regExps) };
}

function nullRemedy(alone: boolean, { credentials }: OriginContext): string {
  if (credentials) return "with credentials it cannot be allowed: take it out";
  return alone
    ? "to allow it alone write origin: () => false with allowNull: true"
    : "take it out, and write allowNull: true if it must be allowed";
}

function credentialsProblem(pattern: OriginPattern, allowInsecure: boolean): string | undefined {
  const { scheme, host, port } = pattern;
  if (scheme === "file") {
    return "is the origin of all files on all computers: with credentials it cannot be allowed; take it out";
  }
  if (host === "*") {
    return `would allow every extension with credentials; name one: "${scheme}://" and its id`;
  }
  if (scheme === "http" && !isLoopback(pattern) && !allowInsecure) {
    const secure = serialize({ ...pattern, scheme: "https", port: port === "443" ? undefined : port });
    const also =
      credentialsProblem({ ...pattern, scheme: "https" }, false) === undefined
        ? `; write ${JSON.stringify(secure)}, or allowInsecureOrigins: true`
        : "";
    return `is not secure: anyone on the network path could read the credentials${also}`;
  }
  if (pattern.subdomains && !isLoopback(pattern) && !host.replace(/\.$/, "").includes(".")) {
    return `would allow every site under .${host} with credentials; name a domain of your own, such as "${scheme}://*.app.${host}"`;
  }
  return undefined;
}

/** An origin function of the `cors` package takes `(origin, callback)` and returns nothing: here it would allow no origin. */
const SECOND_PARAMETER = /^(?:async\s+)?(?:function\b\s*)?[\w$]*\s*\(\s*[\w$]+\s*,\s*([\w$]+)/;
const CALLBACK_NAME = /^_*(?:cb|clb|callback|done|next)\d*$/i;

/**
 * Whether the function expects a callback: its second parameter has a callback's name, or is called. Here it is the request,
 * which cannot be called. The source of a bound or native function is hidden; `warnOfCallback` recognises those.
 */
export function takesCallback(decide: (...args: never[]) => unknown): boolean {
  if (decide.length > 2) return true;
  const source = Function.prototype.toString.call(decide);
  const name = SECOND_PARAMETER.exec(source)?.[1];
  if (name === undefined) return false;
  if (CALLBACK_NAME.test(name)) return true;
  const escaped = name.replaceAll("$", "\\$");
  return new RegExp(`(?<![\\w$.])${escaped}\\s*(?:(?:\\?\\.)?\\(|\\.(?:call|apply)\\()`).test(codeOf(source));
}

/** Removes comments and strings (of one line); what is missed here, `warnOfCallback` recognises at the first call. */
function codeOf(source: string): string {
  return source
    .replace(/\/\*[\s\S]*?\*\//g, " ")
    .replace(/(["'])(?:\\.|(?!\1)[^\\\n])*\1/g, '""')
    .replace(/(^|\s)\/\/.*$/gm, " ");
}
