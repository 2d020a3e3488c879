import { contentSecurityPolicy } from "helmet";
import type { DirectiveName } from "./directives.js";
import { headerValueOf } from "./helmet-value.js";

/** The directives of a policy, checked, in the order in which they are sent. */
export type Directives = ReadonlyMap<DirectiveName, readonly string[]>;

/** A policy as text; with a nonce in pieces, between which it stands. */
export type PolicyText = readonly string[];

export interface Policy {
  readonly header: "Content-Security-Policy" | "Content-Security-Policy-Report-Only";
  readonly plain: PolicyText;
  /** Over TLS, with `upgrade-insecure-requests` if the policy has it: over plain HTTP it would break the page. */
  readonly tls: PolicyText;
}

const UPGRADE = "upgrade-insecure-requests";
/** Stands for the nonce while the text is made; no given value can hold it, for a given nonce is refused. */
const NONCE = "'nonce-'";

/**
 * @param directives without what the options add: see `withNonce`
 * @param tail directives that are written last: where reports go
 */
export function writePolicy(
  directives: Directives,
  reportOnly: boolean,
  tail: readonly (readonly [string, string])[],
): Policy {
  const secure = reportOnly ? without(directives, UPGRADE) : directives; // a report-only policy cannot upgrade anything
  return {
    header: reportOnly ? "Content-Security-Policy-Report-Only" : "Content-Security-Policy",
    plain: write(without(directives, UPGRADE), reportOnly, tail),
    tls: write(secure, reportOnly, tail),
  };
}

function write(
  directives: Directives,
  reportOnly: boolean,
  tail: readonly (readonly [string, string])[],
): PolicyText {
  const all: Record<string, string[]> = {};
  for (const [name, values] of directives) all[name] = [...values];
  for (const [name, value] of tail) all[name] = [value];
  const text = headerValueOf(contentSecurityPolicy({ useDefaults: false, directives: all, reportOnly }));
  return text.replaceAll(";", "; ").split(NONCE);
}

/** The policy for one response: the pieces with its nonce between them. */
export function withNonceIn(text: PolicyText, nonce: string): string {
  return text.join(`'nonce-${nonce}'`);
}

const INLINE = ["script-src", "style-src"] as const;

/**
 * Lets scripts and styles with the response's nonce run. The elements' own directives, where given, need it too: they
 * stand before the general ones. Attributes (`onclick`, `style`) cannot have a nonce.
 */
export function withNonce(directives: Directives): Directives {
  const result = new Map(directives);
  for (const name of INLINE) {
    const element = `${name}-elem` as const;
    result.set(name, addNonce(directives.get(name) ?? directives.get("default-src") ?? []));
    const own = directives.get(element);
    if (own !== undefined) result.set(element, addNonce(own));
  }
  return result;
}

function addNonce(values: readonly string[]): readonly string[] {
  const rest = values.filter((value) => value !== "'none'");
  return rest[0] === "'self'" ? ["'self'", NONCE, ...rest.slice(1)] : [NONCE, ...rest];
}

/** What `default-src` does not cover (CSP Level 3, section 6): it is lost where a policy says nothing else. */
const NOT_COVERED = ["frame-ancestors", "base-uri", "form-action"] as const;

/** The policy that Express's own pages (404, 500, redirects) bring with them, and that replaces ours. */
export const EXPRESS_POLICY = "default-src 'none'";

/** That policy with ours of what it does not cover, or undefined if ours has nothing to say. */
export function repairedPolicy(directives: Directives): string | undefined {
  const kept = NOT_COVERED.flatMap((name) => {
    const values = directives.get(name);
    return values === undefined ? [] : [`; ${name} ${values.join(" ")}`];
  });
  return kept.length === 0 ? undefined : EXPRESS_POLICY + kept.join("");
}

/** The X-Frame-Options of old browsers that says the same; undefined: it cannot. */
export function frameOptionsFor(ancestors: readonly string[] | null): "deny" | "sameorigin" | undefined {
  if (ancestors === null || ancestors.length !== 1) return undefined;
  if (ancestors[0] === "'none'") return "deny";
  return ancestors[0] === "'self'" ? "sameorigin" : undefined;
}

function without(directives: Directives, name: DirectiveName): Directives {
  const result = new Map(directives);
  result.delete(name);
  return result;
}
