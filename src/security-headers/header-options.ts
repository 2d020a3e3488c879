import {
  crossOriginEmbedderPolicy,
  crossOriginOpenerPolicy,
  crossOriginResourcePolicy,
  originAgentCluster,
  referrerPolicy,
  strictTransportSecurity,
} from "helmet";
import { Checker, isBag } from "../lib/config/checker.js";
import { didYouMean } from "../lib/config/did-you-mean.js";
import { urlOf } from "../lib/http/target.js";
import { quote } from "../lib/http/tokens.js";
import { hintForHelmetValue } from "./foreign.js";
import {
  type Allowlist,
  allowlistProblem,
  featureProblem,
  serializePermissions,
} from "./permissions-policy.js";
import { headerValueOf } from "./policy.js";
import type { Preset } from "./presets.js";

/** A header's value; undefined if it is not sent. */
type Value = string | undefined;

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
  /**
   * Seconds; a fraction is dropped.
   *
   * @defaultValue 31536000, a year
   */
  readonly maxAge?: number | undefined;
  /** @defaultValue `true` */
  readonly includeSubDomains?: boolean | undefined;
  /**
   * Allow browsers to add the site to their built-in HTTPS list; needs `maxAge` of a year or more, and the subdomains.
   *
   * @defaultValue `false`
   */
  readonly preload?: boolean | undefined;
}

const HSTS_KNOWN = [
  "maxAge",
  "includeSubDomains",
  "preload",
] as const satisfies (keyof StrictTransportSecurityOptions)[];
const YEAR_SECONDS = 31_536_000;

export function checkReferrerPolicy(checker: Checker, preset: Preset): Value {
  const { referrerPolicy: given = preset.referrerPolicy } = checker.options;
  if (given === false) return undefined;
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  const problem = referrerProblem(list);
  if (problem === undefined) {
    return headerValueOf(referrerPolicy({ policy: list as ReferrerPolicy[] }));
  }
  const accepts = (value: unknown) => referrerProblem(Array.isArray(value) ? value : [value]) === undefined;
  checker.add("referrerPolicy", problem + hintForHelmetValue("referrerPolicy", given, accepts));
  return undefined;
}

function referrerProblem(list: readonly unknown[]): string | undefined {
  if (list.length === 0) return "has no policy in it; write false to send none";
  if (new Set(list).size < list.length) return "has a policy twice; leave one of them out";
  const wrong = list.find((member) => !REFERRER_POLICIES.includes(member as ReferrerPolicy));
  if (wrong === undefined && !list.includes(undefined)) return undefined;
  const meant = typeof wrong === "string" ? didYouMean(wrong, REFERRER_POLICIES) : undefined;
  const hint = meant === undefined ? "" : ` Did you mean "${meant}"?`;
  return `must be false, or one or a list of ${REFERRER_POLICIES.join(", ")}.${hint}`;
}

export function checkStrictTransportSecurity(checker: Checker): Value {
  const { strictTransportSecurity: given = {} } = checker.options;
  if (given === false) return undefined;
  if (!isBag(given)) {
    checker.add("strictTransportSecurity", "must be false, or an object such as { maxAge: 31536000 }");
    return undefined;
  }
  const inner = Checker.of(checker.subject, given, HSTS_KNOWN, `${checker.prefix}strictTransportSecurity.`);
  const { maxAge = YEAR_SECONDS } = inner.options;
  const isAge = typeof maxAge === "number" && maxAge >= 0 && maxAge <= Number.MAX_SAFE_INTEGER;
  if (!isAge) inner.add("maxAge", "must be a number of seconds, 0 or more");
  const includeSubDomains = inner.boolean("includeSubDomains", true);
  const preload = inner.boolean("preload", false);
  if (preload && isAge && maxAge < YEAR_SECONDS) {
    inner.add("maxAge", `must be ${YEAR_SECONDS} or more with preload`);
  }
  if (preload && !includeSubDomains) inner.add("includeSubDomains", "must be true with preload");
  checker.problems.push(...inner.problems);
  if (inner.problems.length > 0) return undefined;
  return headerValueOf(strictTransportSecurity({ maxAge: maxAge as number, includeSubDomains, preload }));
}

export function checkFrameOptions(checker: Checker): "deny" | "sameorigin" | false | undefined {
  const { frameOptions } = checker.options;
  if (frameOptions === false) return false;
  if (typeof frameOptions === "string" && /^allow-from\b/i.test(frameOptions)) {
    checker.add(
      "frameOptions",
      "browsers no longer support ALLOW-FROM; write contentSecurityPolicy.directives.frameAncestors",
    );
    return undefined;
  }
  return oneOrOff(checker, "frameOptions", ["deny", "sameorigin"]);
}

export function checkCrossOriginPolicies(
  checker: Checker,
  preset: Preset,
): [opener: Value, resource: Value, embedder: Value] {
  const opener =
    oneOrOff(checker, "crossOriginOpenerPolicy", OPENER_POLICIES) ?? preset.crossOriginOpenerPolicy;
  const resource =
    oneOrOff(checker, "crossOriginResourcePolicy", RESOURCE_POLICIES) ?? preset.crossOriginResourcePolicy;
  const embedder =
    oneOrOff(checker, "crossOriginEmbedderPolicy", EMBEDDER_POLICIES) ?? preset.crossOriginEmbedderPolicy;
  return [
    opener
      ? headerValueOf(crossOriginOpenerPolicy({ policy: opener as (typeof OPENER_POLICIES)[number] }))
      : undefined,
    resource
      ? headerValueOf(crossOriginResourcePolicy({ policy: resource as (typeof RESOURCE_POLICIES)[number] }))
      : undefined,
    embedder
      ? headerValueOf(crossOriginEmbedderPolicy({ policy: embedder as (typeof EMBEDDER_POLICIES)[number] }))
      : undefined,
  ];
}

export function checkOriginAgentCluster(checker: Checker, preset: Preset): Value {
  return checker.boolean("originAgentCluster", preset.originAgentCluster)
    ? headerValueOf(originAgentCluster())
    : undefined;
}

export function checkCacheControl(checker: Checker, preset: Preset): "no-store" | undefined {
  const value = oneOrOff(checker, "cacheControl", ["no-store"]) ?? preset.cacheControl;
  return value === false ? undefined : value;
}

/** False if the option is off, undefined if it was not given. */
function oneOrOff<T extends string>(
  checker: Checker,
  option: string,
  choices: readonly T[],
): T | false | undefined {
  const given = checker.options[option];
  if (given === false) return false;
  const before = checker.problems.length;
  const value = checker.oneOf(option, choices);
  if (checker.problems.length === before) return value;
  const { reason } = checker.problems.pop()!;
  const theirs = hintForHelmetValue(option, given, (value) => choices.includes(value as T));
  checker.add(option, reason.replace("must be one of", "must be false or one of") + theirs);
  return undefined;
}

export function checkPermissionsPolicy(checker: Checker, preset: Preset): Value {
  const { permissionsPolicy: given = preset.permissionsPolicy } = checker.options;
  if (given === false || given === undefined) return undefined;
  if (!isBag(given)) {
    checker.add("permissionsPolicy", 'must be false, or an object such as { camera: [], fullscreen: "*" }');
    return undefined;
  }
  const before = checker.problems.length;
  for (const [feature, list] of Object.entries(given)) {
    if (list === undefined) continue;
    const problem = featureProblem(feature) ?? allowlistProblem(list);
    if (problem !== undefined) checker.add(`permissionsPolicy.${feature}`, problem, list);
  }
  if (checker.problems.length > before) return undefined;
  return serializePermissions(withoutUndefined(given) as Record<string, Allowlist>);
}

/** The endpoints by name; the policy's `reportTo` is looked up among them. */
export function checkReportingEndpoints(checker: Checker): Readonly<Record<string, string>> {
  const { reportingEndpoints: given } = checker.options;
  if (given === undefined || given === false) return {};
  if (!isBag(given)) {
    checker.add(
      "reportingEndpoints",
      'must be false, or an object such as { csp: "https://reports.example/csp" }',
    );
    return {};
  }
  const endpoints = withoutUndefined(given);
  for (const [name, url] of Object.entries(endpoints)) {
    const option = `reportingEndpoints.${name}`;
    const problem = endpointNameProblem(name) ?? endpointUrlProblem(url);
    if (problem !== undefined) checker.addSecret(option, problem);
    else if (holdsCredentials(url as string))
      checker.addSecret(option, "has a user or a password in it; leave it out");
  }
  return endpoints as Record<string, string>;
}

function withoutUndefined(bag: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(bag).filter(([, value]) => value !== undefined));
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

/** Whether the address has a user name or password: browsers send no reports there, and every client can read it. */
function holdsCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== "" || password !== "";
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
