import type { Checker } from "../lib/config/checker.js";
import { isBag, withoutUndefined } from "../lib/config/checker.js";
import {
  boolean,
  choiceProblem,
  didYouMeanSentence,
  nested,
  type Reader,
  type SchemaOf,
  valid,
} from "../lib/config/schema.js";
import { urlOf } from "../lib/http/target.js";
import { quote } from "../lib/http/tokens.js";
import { hintForHelmetValue } from "./foreign.js";
import { type Allowlist, allowlistProblem, featureProblem } from "./permissions-policy.js";

export const REFERRER_POLICIES = [
  "no-referrer",
  "no-referrer-when-downgrade",
  "same-origin",
  "origin",
  "strict-origin",
  "origin-when-cross-origin",
  "strict-origin-when-cross-origin",
  "unsafe-url",
] as const;
export const OPENER_POLICIES = [
  "same-origin",
  "same-origin-allow-popups",
  "noopener-allow-popups",
  "unsafe-none",
] as const;
export const RESOURCE_POLICIES = ["same-origin", "same-site", "cross-origin"] as const;
export const EMBEDDER_POLICIES = ["require-corp", "credentialless", "unsafe-none"] as const;

export type ReferrerPolicy = (typeof REFERRER_POLICIES)[number];

export interface StrictTransportSecurityOptions {
  /** Seconds; a fraction is dropped. @defaultValue `31_536_000`, a year */
  readonly maxAge?: number | undefined;
  /** Whether it holds for all subdomains too. @defaultValue `true` */
  readonly includeSubDomains?: boolean | undefined;
  /**
   * Allow browsers to add the site to their built-in HTTPS list; needs `maxAge` of a year or more, and the subdomains.
   * @defaultValue `false`
   */
  readonly preload?: boolean | undefined;
}

const YEAR_SECONDS = 31_536_000;

export const HSTS = () =>
  ({
    maxAge: valid(
      (value) => typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER,
      "must be a number of seconds, 0 or more",
      YEAR_SECONDS,
    ),
    includeSubDomains: boolean(true),
    preload: boolean(false),
  }) satisfies SchemaOf<StrictTransportSecurityOptions>;

export function hsts() {
  return orFalse(
    nested(HSTS, {
      reason: "must be false, or an object such as { maxAge: 31536000 }",
      finish({ maxAge, includeSubDomains, preload }, checker) {
        if (!preload) return;
        if (maxAge < YEAR_SECONDS) checker.add("maxAge", `must be ${YEAR_SECONDS} or more with preload`);
        if (!includeSubDomains) checker.add("includeSubDomains", "must be true with preload");
      },
    }),
  );
}

function orFalse<Value>(read: Reader<Value>): Reader<Value | false> {
  return (checker, option) => (checker.options[option] === false ? false : read(checker, option));
}

/** The header's value; undefined if the option is not given. */
export function referrerPolicy(checker: Checker, option: string): string | false | undefined {
  const given = checker.options[option];
  if (given === undefined || given === false) return given;
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  const problem = referrerProblem(list);
  if (problem === undefined) return list.join(",");
  const accepts = (value: unknown) => referrerProblem(Array.isArray(value) ? value : [value]) === undefined;
  checker.add(option, problem + hintForHelmetValue(option, given, accepts));
  return undefined;
}

function referrerProblem(list: readonly unknown[]): string | undefined {
  if (list.length === 0) return "has no policy in it; write false to send none";
  if (new Set(list).size < list.length) return "has a policy twice; leave one of them out";
  const wrong = list.find((member) => !REFERRER_POLICIES.includes(member as ReferrerPolicy));
  if (wrong === undefined && !list.includes(undefined)) return undefined;
  const names = REFERRER_POLICIES.join(", ");
  return `must be false, or one or a list of ${names}${didYouMeanSentence(wrong, REFERRER_POLICIES) || "."}`;
}

export function frameOptions(checker: Checker, option: string): "deny" | "sameorigin" | false | undefined {
  const given = checker.options[option];
  if (typeof given !== "string" || !/^allow-from\b/i.test(given))
    return oneOrFalse(["deny", "sameorigin"])(checker, option);
  checker.add(
    option,
    "browsers no longer support ALLOW-FROM; write contentSecurityPolicy.directives.frameAncestors",
  );
  return undefined;
}

/** One of the values, or `false` to send none. */
export function oneOrFalse<T extends string>(
  choices: readonly T[],
): Reader<T | false | undefined, T | false> {
  const accepts = (value: unknown) => choices.includes(value as T);
  return valid<T | false>(
    (value) => value === false || accepts(value),
    (value, option) =>
      choiceProblem("must be false or one of", value, choices) + hintForHelmetValue(option, value, accepts),
  );
}

type Permissions = Readonly<Record<string, Allowlist>>;

export function permissionsPolicy(checker: Checker, option: string): Permissions | false | undefined {
  const given = checker.options[option];
  if (given === undefined || given === false) return given;
  if (!isBag(given)) {
    checker.add(option, 'must be false, or an object such as { camera: [], fullscreen: "*" }');
    return undefined;
  }
  const policy = withoutUndefined(given);
  for (const [feature, list] of Object.entries(policy)) {
    const problem = featureProblem(feature) ?? allowlistProblem(list);
    if (problem !== undefined) checker.add(`${option}.${feature}`, problem, list);
  }
  return policy as Permissions;
}

/** The endpoints by name; the policy's `reportTo` is looked up among them. */
export function reportingEndpoints(checker: Checker, option: string): Readonly<Record<string, string>> {
  const given = checker.options[option];
  if (given === undefined || given === false) return {};
  if (!isBag(given)) {
    checker.add(option, 'must be false, or an object such as { csp: "https://reports.example/csp" }');
    return {};
  }
  const endpoints = withoutUndefined(given);
  for (const [name, url] of Object.entries(endpoints)) {
    const problem = endpointNameProblem(name) ?? endpointUrlProblem(url) ?? credentialsProblem(url as string);
    if (problem !== undefined) checker.addSecret(`${option}.${name}`, problem);
  }
  return endpoints as Record<string, string>;
}

/** A key of a structured dictionary: RFC 9651 section 3.1.2. */
function endpointNameProblem(name: string): string | undefined {
  return /^[a-z*][a-z0-9_\-.*]*$/.test(name)
    ? undefined
    : "is not a name for an endpoint; write lower-case letters, digits, - and _, such as csp-endpoint";
}

/** The problem of an endpoint's address, or undefined. Browsers send reports to https addresses only. */
export function endpointUrlProblem(url: unknown): string | undefined {
  if (typeof url !== "string" || urlOf(url) === undefined) {
    return 'must be a whole address, such as "https://reports.example/csp"';
  }
  if (!/^[\x21-\x7e]+$/.test(url)) {
    return "must be printable ASCII without spaces; percent-encode other characters";
  }
  return new URL(url).protocol === "https:"
    ? undefined
    : "must begin with https:, because browsers ignore all other addresses";
}

/** Browsers send no reports to an address with a user name or password, and every client can read it. */
function credentialsProblem(url: string): string | undefined {
  const { username, password } = new URL(url);
  return username === "" && password === "" ? undefined : "has a user or a password in it; leave it out";
}

/** The header's value, or undefined if there is no endpoint. */
export function serializeEndpoints(endpoints: Readonly<Record<string, string>>): string | undefined {
  const members = Object.entries(endpoints).map(([name, url]) => `${name}=${quote(url)}`);
  return members.length === 0 ? undefined : members.join(", ");
}

/** The address for `report-uri`, where a comma or a semicolon would end the directive. */
export function asReportUri(url: string): string {
  return new URL(url).href.replaceAll(",", "%2C").replaceAll(";", "%3B");
}
