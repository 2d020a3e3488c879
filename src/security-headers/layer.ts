import type { CheckedHeaders, HeaderRule } from "./options.js";
import type { Policy } from "./policy.js";

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
