import { type Checker, isBag } from "../lib/config/checker.js";
import {
  boolean,
  didYouMeanSentence,
  readOptions,
  type SchemaOf,
  string,
  valid,
} from "../lib/config/schema.js";
import { urlOf } from "../lib/http/target.js";
import { isHeaderValue } from "../lib/http/tokens.js";
import {
  type ContentSecurityPolicyDirectives,
  type DirectiveName,
  directiveProblem,
  isDirective,
  kebabCase,
  unknownDirective,
} from "./directives.js";
import { FOREIGN_POLICY } from "./foreign.js";
import { asReportUri } from "./header-options.js";
import {
  type Directives,
  errorPolicyOf,
  type Policy,
  refuseInlineBesideNonce,
  refuseStrictDynamicAlone,
  withNonce,
  writePolicy,
} from "./policy.js";
import type { NonceUse, Preset } from "./presets.js";

export interface ContentSecurityPolicyOptions {
  /**
   * Each directive replaces the preset's directive of the same name, `null` removes it, all others stay.
   * @defaultValue the preset's
   */
  readonly directives?: ContentSecurityPolicyDirectives | undefined;
  /**
   * Send it as `Content-Security-Policy-Report-Only`: violations are reported, nothing is blocked.
   * @defaultValue `false`
   */
  readonly reportOnly?: boolean | undefined;
  /**
   * Adds a nonce that is new for each response: `"script"` adds it to `script-src`, `"style"` to `style-src`, `true` to
   * both. The page finds it in `res.locals.cspNonce`. @defaultValue `true` for the preset `"page"`, else `false`
   */
  readonly nonce?: boolean | "script" | "style" | undefined;
  /** The name of the endpoint in `reportingEndpoints` that gets reports of violations. @defaultValue none */
  readonly reportTo?: string | undefined;
}

export const POLICY_OPTIONS = () =>
  ({
    directives: readDirectives,
    reportOnly: boolean(false),
    nonce: valid<NonceUse>(
      (value) => typeof value === "boolean" || value === "script" || value === "style",
      (value) =>
        `must be true or false, "script" or "style"${didYouMeanSentence(value, ["script", "style"])}`,
    ),
    reportTo: string(),
  }) satisfies SchemaOf<ContentSecurityPolicyOptions>;

const OPTION = "contentSecurityPolicy";

export interface CheckedPolicy {
  readonly policy: Policy;
  readonly reportOnly: boolean;
  readonly nonce: boolean;
  /** See `errorPolicyOf`. */
  readonly errorPolicy: string | undefined;
  /** The given `frame-ancestors`: null if it was removed, undefined if it was not given. */
  readonly givenAncestors: readonly string[] | null | undefined;
}

/** Reads the option `contentSecurityPolicy`; undefined if it is off. Problems are added to the outer checker. */
export function checkPolicy(
  outer: Checker,
  preset: Preset,
  endpoints: Readonly<Record<string, string>>,
): CheckedPolicy | undefined {
  const { [OPTION]: given = {} } = outer.options;
  if (given === false) return undefined;
  if (!isBag(given)) {
    outer.add(
      OPTION,
      'must be false, or an object such as { directives: { imgSrc: ["https://cdn.example"] } }',
    );
    return undefined;
  }
  const settings = { prefix: `${outer.prefix}${OPTION}.`, foreign: FOREIGN_POLICY };
  const { checker, plan } = readOptions(outer.subject, POLICY_OPTIONS, given, settings);
  const { directives: changes, reportOnly, nonce = preset.nonce } = plan;
  const directives = overPreset(preset, changes);
  const tail = reportTail(checker, plan.reportTo, endpoints, directives);
  refuseStrictDynamicAlone(checker, directives, nonce);
  refuseInlineBesideNonce(checker, directives, changes, nonce, preset);
  outer.problems.push(...checker.problems);
  if (outer.problems.length > 0) return undefined; // helmet would report the same problem again
  try {
    return {
      policy: writePolicy(withNonce(directives, nonce), reportOnly, tail, preset),
      reportOnly,
      nonce: nonce !== false,
      errorPolicy: reportOnly ? undefined : errorPolicyOf(directives),
      givenAncestors: changes.get("frame-ancestors"),
    };
  } catch (error) {
    outer.add(`${OPTION}.directives`, error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

/** Changes of the preset's directives; null removes a directive. */
type Changes = Map<DirectiveName, readonly string[] | null>;

function readDirectives(checker: Checker): Changes {
  const changes: Changes = new Map();
  const { directives, reportOnly } = checker.options;
  if (directives === undefined) return changes;
  if (!isBag(directives)) {
    checker.add("directives", 'must be an object, such as { imgSrc: ["\'self\'", "https://cdn.example"] }');
    return changes;
  }
  for (const [written, value] of Object.entries(directives)) {
    if (value === undefined) continue;
    const option = `directives.${written}`;
    const name = kebabCase(written);
    if (!isDirective(name)) {
      checker.add(option, unknownDirective(name), value);
    } else if (changes.has(name)) {
      checker.add(option, `is given twice, as ${name} and in capitals; leave one of them out`, value);
    } else {
      const values = readValues(value);
      const problem = typeof values === "string" ? values : problemOf(name, values, reportOnly === true);
      if (problem !== undefined) checker.add(option, problem, value);
      changes.set(name, typeof values === "string" ? null : values);
    }
  }
  return changes;
}

/** The values of a directive; a string is the problem of their form. */
function readValues(value: unknown): readonly string[] | null | string {
  if (value === null) return null;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.some((member) => typeof member === "function")) {
    return "has a function, and policies are made once; for a nonce use contentSecurityPolicy.nonce: true";
  }
  if (!list.every((member) => typeof member === "string")) {
    return "must be a list of strings, one string, or null to remove it ([] for a directive without values)";
  }
  if (list.some((member) => /[;,]/.test(member))) {
    return "has a semicolon or a comma in it, which would end the directive; write its values as a list, or percent-encode it in an address";
  }
  if (list.some((member) => !/^[\x20-\x7e]*$/.test(member) || !isHeaderValue(member))) {
    return "has a control or non-ASCII character in it; write a host in punycode, and percent-encode a path";
  }
  if (list.some((member) => member.trim() === "")) return "has an empty value in it; leave it out";
  return list.flatMap((member) => member.trim().split(/ +/));
}

function problemOf(
  name: DirectiveName,
  values: readonly string[] | null,
  reportOnly: boolean,
): string | undefined {
  if (values === null) {
    return name === "default-src"
      ? 'cannot be removed: everything that no other directive covers would be allowed from everywhere; write ["*"] if you want that'
      : undefined;
  }
  if (reportOnly && (name === "sandbox" || name === "upgrade-insecure-requests")) {
    return "has no effect in a report-only policy; leave it out";
  }
  return directiveProblem(name, values);
}

function overPreset(preset: Preset, changes: Changes): Directives {
  const directives = new Map(Object.entries(preset.directives) as [DirectiveName, readonly string[]][]);
  for (const [name, values] of changes) {
    if (values === null) directives.delete(name);
    else directives.set(name, values);
  }
  return directives;
}

/** Both are sent: new browsers use `report-to` and ignore `report-uri`, old ones know only `report-uri`. */
function reportTail(
  checker: Checker,
  name: string | undefined,
  endpoints: Readonly<Record<string, string>>,
  directives: Directives,
): [string, string][] {
  if (name === undefined) return [];
  const url = Object.hasOwn(endpoints, name) ? endpoints[name] : undefined;
  if (url === undefined) {
    const names = Object.keys(endpoints).join(", ");
    checker.add(
      "reportTo",
      `must be the name of an endpoint in reportingEndpoints${names === "" ? ", which has none" : `: ${names}`}`,
    );
    return [];
  }
  if (directives.has("report-uri")) {
    checker.add(
      "directives.report-uri",
      "is sent by reportTo already; leave it out",
      directives.get("report-uri"),
    );
  }
  if (urlOf(url) === undefined) return []; // checkReportingEndpoints reports it
  return [
    ["report-uri", asReportUri(url)],
    ["report-to", name],
  ];
}
