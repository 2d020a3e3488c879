import type { CheckedHeaders, HeaderRule } from "./options.js";
import type { Policy } from "./policy.js";

/** Names and values, alternating: what is set on a response without thinking. */
export type Pairs = readonly string[];

/** All that one instance does to a response, computed when it is made. */
export interface Layer {
  readonly plain: Pairs;
  /** The same list as `plain` if TLS makes no difference. */
  readonly tls: Pairs;
  /** What is taken away over TLS. */
  readonly remove: readonly string[];
  /** What is taken away over plain HTTP: also what is sent over TLS only. The same list if there is nothing more. */
  readonly removePlain: readonly string[];
  /** Whether it sends `Strict-Transport-Security` over TLS and not over plain HTTP. */
  readonly hstsOverTls: boolean;
  /** Set, if the policy has a nonce: it is then not among the pairs. */
  readonly noncePolicy: Policy | undefined;
  /** Undefined: this layer leaves as it is what an earlier one wants; null: nothing is wanted. */
  readonly errorPolicy: string | null | undefined;
  readonly cacheControl: string | null | undefined;
}

/** What the first instance on a response does: everything it has. */
export function firstLayer(checked: CheckedHeaders): Layer {
  return compile(checked, checked.rules, checked.csp !== undefined, true, [], []);
}

/** What a later one does: only what its options name; what they turn off goes. */
export function laterLayer(checked: CheckedHeaders): Layer {
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
  removePlainToo: readonly string[],
): Layer {
  const policy = withPolicy ? csp : undefined;
  const fixed = policy !== undefined && !policy.nonce ? policy.policy : undefined;
  const plain = pairsOf(rules, fixed && [fixed.header, fixed.plain[0]!], false);
  const tls = pairsOf(rules, fixed && [fixed.header, fixed.tls[0]!], true);
  return {
    plain,
    tls: same(plain, tls) ? plain : tls,
    remove,
    removePlain: removePlainToo.length === 0 ? remove : [...remove, ...removePlainToo],
    hstsOverTls: rules.some(
      ({ header, value, tlsOnly }) =>
        header === "Strict-Transport-Security" && value !== undefined && tlsOnly,
    ),
    noncePolicy: policy?.nonce ? policy.policy : undefined,
    // A report-only policy stands beside the enforced one, and changes nothing about it.
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

function same(a: Pairs, b: Pairs): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
