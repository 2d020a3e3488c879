import { strictTransportSecurity } from "helmet";
import { boolean, oneOf, readOptions, type SchemaOf, unchecked, valid } from "../lib/config/schema.js";
import { FOREIGN } from "./foreign.js";
import {
  EMBEDDER_POLICIES,
  frameOptions,
  hsts,
  OPENER_POLICIES,
  oneOrFalse,
  permissionsPolicy,
  RESOURCE_POLICIES,
  type ReferrerPolicy,
  referrerPolicy,
  reportingEndpoints,
  type StrictTransportSecurityOptions,
  serializeEndpoints,
} from "./header-options.js";
import { type Allowlist, serializePermissions } from "./permissions-policy.js";
import { frameOptionsFor, headerValueOf, type Policy } from "./policy.js";
import { type CheckedPolicy, type ContentSecurityPolicyOptions, checkPolicy } from "./policy-options.js";
import { LEGACY_HEADERS, PRESET_NAMES, type Preset, type PresetName, presets } from "./presets.js";

/** Each header is an option: `false` turns it off; if it is left out, the preset decides. */
export interface SecurityHeadersOptions {
  /**
   * The headers that no option names: `"common"` for any app, `"page"` (strict, with nonces) for HTML, `"api"` for
   * responses that are not documents, `"helmet"` for exactly the defaults of helmet. @defaultValue `"common"`
   */
  readonly preset?: PresetName | undefined;
  /**
   * `Content-Security-Policy` (CSP Level 3); `upgrade-insecure-requests` over TLS only, except with `"helmet"`.
   * @defaultValue the preset's
   */
  readonly contentSecurityPolicy?: false | ContentSecurityPolicyOptions | undefined;
  /** `Referrer-Policy`; from a list, browsers use the last value that they know. @defaultValue the preset's */
  readonly referrerPolicy?: false | ReferrerPolicy | readonly ReferrerPolicy[] | undefined;
  /** `X-Frame-Options`. @defaultValue follows a given `frame-ancestors`, else the preset's */
  readonly frameOptions?: false | "deny" | "sameorigin" | undefined;
  /**
   * `Strict-Transport-Security` (RFC 6797), over TLS only, except with the preset `"helmet"`.
   * @defaultValue `{ maxAge: 31_536_000, includeSubDomains: true, preload: false }`
   */
  readonly strictTransportSecurity?: false | StrictTransportSecurityOptions | undefined;
  /** `Cross-Origin-Opener-Policy`. @defaultValue the preset's */
  readonly crossOriginOpenerPolicy?: false | (typeof OPENER_POLICIES)[number] | undefined;
  /** `Cross-Origin-Resource-Policy`. @defaultValue `"same-origin"` */
  readonly crossOriginResourcePolicy?: false | (typeof RESOURCE_POLICIES)[number] | undefined;
  /**
   * `Cross-Origin-Embedder-Policy`: it blocks resources of sites that do not allow embedding.
   * @defaultValue off
   */
  readonly crossOriginEmbedderPolicy?: false | (typeof EMBEDDER_POLICIES)[number] | undefined;
  /**
   * `Permissions-Policy`: for each feature `[]` (nobody), `"*"` (everybody), or a list with `"self"` and origins.
   * @defaultValue the preset's
   */
  readonly permissionsPolicy?: false | { readonly [feature: string]: Allowlist | undefined } | undefined;
  /** `Reporting-Endpoints`: names and their https addresses. @defaultValue off */
  readonly reportingEndpoints?: false | { readonly [name: string]: string | undefined } | undefined;
  /**
   * `Cache-Control`, for responses on which the handler sets none.
   * @defaultValue `"no-store"` for the preset `"api"`, else off
   */
  readonly cacheControl?: false | "no-store" | undefined;
  /** `Origin-Agent-Cluster: ?1`. @defaultValue `true` for the presets `"page"` and `"helmet"`, else `false` */
  readonly originAgentCluster?: boolean | undefined;
  /** Whether a header that is already set when this handler runs is replaced. @defaultValue `true` */
  readonly override?: boolean | undefined;
}

export const OPTIONS = () =>
  ({
    preset: oneOf(PRESET_NAMES, "common"),
    contentSecurityPolicy: unchecked,
    referrerPolicy,
    frameOptions,
    strictTransportSecurity: hsts(),
    crossOriginOpenerPolicy: oneOrFalse(OPENER_POLICIES),
    crossOriginResourcePolicy: oneOrFalse(RESOURCE_POLICIES),
    crossOriginEmbedderPolicy: oneOrFalse(EMBEDDER_POLICIES),
    permissionsPolicy,
    reportingEndpoints,
    cacheControl: oneOrFalse(["no-store"]),
    originAgentCluster: valid((value) => typeof value === "boolean", "must be true or false"),
    override: boolean(true),
  }) satisfies SchemaOf<SecurityHeadersOptions>;

/** One header of an instance. */
interface HeaderRule {
  readonly header: string;
  /** Undefined if the header is off. */
  readonly value: string | undefined;
  /** Whether the options name it; a second instance changes only named headers. */
  readonly named: boolean;
  readonly tlsOnly: boolean;
}

type CheckedHeaders = ReturnType<typeof checkOptions>;

export function checkOptions(options: SecurityHeadersOptions | undefined) {
  const { checker, plan } = readOptions("securityHeaders()", OPTIONS, options, { foreign: FOREIGN });
  const preset = presets[plan.preset];
  const csp = checkPolicy(checker, preset, plan.reportingEndpoints);
  checker.done();

  const names = (option: keyof SecurityHeadersOptions) =>
    checker.options[option] !== undefined || checker.options.preset !== undefined;
  const rule = (
    header: string,
    option: keyof SecurityHeadersOptions,
    value: string | false | undefined,
    tlsOnly = false,
  ): HeaderRule => ({ header, value: value || undefined, named: names(option), tlsOnly });
  const policy = (
    header: string,
    option: "referrerPolicy" | (`crossOrigin${string}Policy` & keyof typeof plan),
  ) => rule(header, option, plan[option] ?? preset[option]);
  const { strictTransportSecurity: givenHsts } = plan;
  const hstsValue = givenHsts && headerValueOf(strictTransportSecurity(givenHsts));
  const agentCluster = plan.originAgentCluster ?? preset.originAgentCluster;
  const permissions = plan.permissionsPolicy ?? preset.permissionsPolicy;

  return {
    rules: [
      policy("Referrer-Policy", "referrerPolicy"),
      rule("X-Content-Type-Options", "preset", "nosniff"),
      rule("X-XSS-Protection", "preset", preset.xssProtection),
      policy("Cross-Origin-Opener-Policy", "crossOriginOpenerPolicy"),
      policy("Cross-Origin-Resource-Policy", "crossOriginResourcePolicy"),
      policy("Cross-Origin-Embedder-Policy", "crossOriginEmbedderPolicy"),
      rule("Origin-Agent-Cluster", "originAgentCluster", agentCluster && "?1"),
      rule("Permissions-Policy", "permissionsPolicy", permissions && serializePermissions(permissions)),
      rule("Strict-Transport-Security", "strictTransportSecurity", hstsValue, preset.tlsOnly),
      ...LEGACY_HEADERS.map((header) => rule(header, "preset", preset.legacy[header])),
      rule("Reporting-Endpoints", "reportingEndpoints", serializeEndpoints(plan.reportingEndpoints)),
      frameRule(preset, plan.frameOptions, csp, names("frameOptions")),
    ],
    csp,
    cspNamed: names("contentSecurityPolicy"),
    cacheControl: (plan.cacheControl ?? preset.cacheControl) || undefined,
    cacheControlNamed: names("cacheControl"),
    override: plan.override,
  };
}

function frameRule(
  preset: Preset,
  option: "deny" | "sameorigin" | false | undefined,
  csp: CheckedPolicy | undefined,
  named: boolean,
): HeaderRule {
  const header = "X-Frame-Options";
  const ancestors = csp?.reportOnly === false ? csp.givenAncestors : undefined;
  if (option === undefined && ancestors !== undefined) {
    return { header, value: frameOptionsFor(ancestors), named: true, tlsOnly: false };
  }
  const value = option === false ? undefined : (option ?? preset.frameOptions);
  return { header, value, named, tlsOnly: false };
}

/** Names and values, alternating; set on every response as they are. */
export type Pairs = readonly string[];

/** Changes that one instance makes to a response, computed when the instance is made. */
export interface HeaderPlan {
  readonly plain: Pairs;
  /** The same list as `plain` if TLS makes no difference. */
  readonly tls: Pairs;
  /** Headers removed over TLS. */
  readonly remove: readonly string[];
  /** Headers removed over plain HTTP: also those sent over TLS only. Same list as `remove` if there are none. */
  readonly removePlain: readonly string[];
  /** Whether it sends `Strict-Transport-Security` over TLS and not over plain HTTP. */
  readonly hstsOverTls: boolean;
  /** Set if the policy has a nonce; the policy is then not in the pairs. */
  readonly noncePolicy: Policy | undefined;
  /** Undefined: the value of an earlier instance stays. Null: no value. */
  readonly errorPolicy: string | null | undefined;
  readonly cacheControl: string | null | undefined;
}

/** For the first instance on a response: all its headers. */
export function firstPlan(checked: CheckedHeaders): HeaderPlan {
  return compile(checked, checked.rules, checked.csp !== undefined, true, [], []);
}

/** For a later instance: only the headers that its options name; those that are off are removed. */
export function laterPlan(checked: CheckedHeaders): HeaderPlan {
  const named = checked.rules.filter((rule) => rule.named);
  const remove = named.filter(({ value }) => value === undefined).map(({ header }) => header);
  if (checked.cspNamed && checked.csp === undefined) {
    remove.push("Content-Security-Policy", "Content-Security-Policy-Report-Only");
  }
  const tlsOnly = named
    .filter((rule) => rule.tlsOnly && rule.value !== undefined)
    .map(({ header }) => header);
  return compile(checked, named, checked.cspNamed, checked.cacheControlNamed, remove, tlsOnly);
}

function compile(
  { csp, cacheControl }: CheckedHeaders,
  rules: readonly HeaderRule[],
  withPolicy: boolean,
  withCacheControl: boolean,
  remove: readonly string[],
  removeOverPlain: readonly string[],
): HeaderPlan {
  const policy = withPolicy ? csp : undefined;
  const fixed = policy !== undefined && !policy.nonce ? policy.policy : undefined;
  const plain = pairsOf(rules, fixed && [fixed.header, fixed.plain[0]!], false);
  const tls = pairsOf(rules, fixed && [fixed.header, fixed.tls[0]!], true);
  return {
    plain,
    tls: isSameList(plain, tls) ? plain : tls,
    remove,
    removePlain: removeOverPlain.length === 0 ? remove : [...remove, ...removeOverPlain],
    hstsOverTls: rules.some(
      ({ header, value, tlsOnly }) =>
        header === "Strict-Transport-Security" && value !== undefined && tlsOnly,
    ),
    noncePolicy: policy?.nonce ? policy.policy : undefined,
    // A report-only policy does not replace the enforced one.
    errorPolicy: !withPolicy || policy?.reportOnly ? undefined : (policy?.errorPolicy ?? null),
    cacheControl: withCacheControl ? (cacheControl ?? null) : undefined,
  };
}

function pairsOf(
  rules: readonly HeaderRule[],
  policy: readonly [string, string] | undefined,
  tls: boolean,
): Pairs {
  const pairs: string[] = policy === undefined ? [] : [...policy];
  for (const { header, value, tlsOnly } of rules) {
    if (value !== undefined && (tls || !tlsOnly)) pairs.push(header, value);
  }
  return pairs;
}

function isSameList(a: Pairs, b: Pairs): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
