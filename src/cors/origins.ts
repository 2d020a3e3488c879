import type { Checker } from "../config/check.js";
import { show } from "../config/config-error.js";
import { compileMatcher, type Matcher } from "./matcher.js";
import type { OriginFunction } from "./options.js";
import { isLoopback, type OriginPattern, parseOriginPattern } from "./origin.js";
import { regExpCredentialsProblem } from "./probe.js";
import { regExpProblem } from "./regexp.js";

/** The option `origin`, compiled. */
export type OriginRule =
  | { readonly kind: "everyone" }
  | { readonly kind: "nobody" }
  | { readonly kind: "listed"; readonly matches: Matcher }
  | { readonly kind: "asked"; readonly ask: OriginFunction };

const EVERYONE: OriginRule = { kind: "everyone" };
const NOBODY: OriginRule = { kind: "nobody" };

export function checkOrigins(checker: Checker, credentials: boolean, allowInsecure: boolean): OriginRule {
  const { options } = checker;
  if (!("origin" in options)) return openUnless(checker, credentials);
  const { origin } = options;
  if (origin === undefined) {
    checker.add(
      "origin",
      'is undefined: is an environment variable missing? Leave the option out, or write "*", to allow every origin',
    );
    return NOBODY;
  }
  if (origin === false) return NOBODY;
  if (origin === true) {
    checker.add(
      "origin",
      'must not be true, which would let every site in by name; write "*" for everyone, or list the origins',
    );
    return NOBODY;
  }
  if (typeof origin === "function") return askedRule(checker, origin as OriginFunction);
  const list: unknown[] = Array.isArray(origin) ? origin : [origin];
  if (list.length === 0) checker.add("origin", "is an empty list; write false to allow nobody");
  const listed = listedRule(checker, list, credentials, allowInsecure);
  return list.includes("*") ? openUnless(checker, credentials) : listed;
}

function openUnless(checker: Checker, credentials: boolean): OriginRule {
  if (credentials) {
    checker.add(
      "origin",
      'cannot be "*" with credentials: browsers refuse it (Fetch, section 3.3.5); list the origins',
      "*",
    );
  }
  return EVERYONE;
}

/** A callback of the `cors` package takes `(origin, callback)` and returns nothing: it would refuse everyone. */
const CALLBACK = /^(?:async\s+)?(?:function\b\s*)?[\w$]*\s*\(\s*[\w$]+\s*,\s*_*(?:cb|callback)\b/i;

function askedRule(checker: Checker, ask: OriginFunction): OriginRule {
  if (ask.length > 2 || CALLBACK.test(Function.prototype.toString.call(ask))) {
    checker.add(
      "origin",
      "must not take a callback: return true or false, or a promise of one: (origin, req) => boolean",
    );
  }
  return { kind: "asked", ask };
}

function listedRule(
  checker: Checker,
  list: readonly unknown[],
  credentials: boolean,
  allowInsecure: boolean,
): OriginRule {
  const patterns: OriginPattern[] = [];
  const regExps: RegExp[] = [];
  list.forEach((entry, i) => {
    if (entry === "*") return;
    const option = list.length === 1 && !Array.isArray(checker.options.origin) ? "origin" : `origin[${i}]`;
    const add = (reason: string) => checker.add(option, reason, entry);
    if (entry instanceof RegExp || Object.prototype.toString.call(entry) === "[object RegExp]") {
      const pattern = new RegExp((entry as RegExp).source, (entry as RegExp).flags); // a copy: lastIndex is ours
      const problem =
        regExpProblem(pattern) ??
        (credentials ? regExpCredentialsProblem(pattern, allowInsecure) : undefined);
      if (problem !== undefined) add(problem);
      regExps.push(pattern);
    } else if (typeof entry !== "string") {
      add(`must be an origin such as "https://app.example", or an anchored RegExp, not ${show(entry)}`);
    } else {
      const pattern = parseOriginPattern(entry);
      if (typeof pattern === "string") add(pattern);
      else {
        const problem = credentials ? credentialsProblem(pattern, allowInsecure) : undefined;
        if (problem !== undefined) add(problem);
        patterns.push(pattern);
      }
    }
  });
  return { kind: "listed", matches: compileMatcher(patterns, regExps) };
}

function credentialsProblem(pattern: OriginPattern, allowInsecure: boolean): string | undefined {
  if (pattern.scheme === "http" && !isLoopback(pattern) && !allowInsecure) {
    return "is not secure: with credentials anyone on the way could read them; write https:, or allowInsecureOrigins: true";
  }
  if (pattern.subdomains && !isLoopback(pattern) && !pattern.host.replace(/\.$/, "").includes(".")) {
    return `would let everyone under .${pattern.host} in with credentials; name a domain of your own: "https://*.app.${pattern.host}"`;
  }
  return undefined;
}
