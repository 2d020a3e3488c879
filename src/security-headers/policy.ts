import type { IncomingMessage, ServerResponse } from "node:http";
import { contentSecurityPolicy } from "helmet";
import type { Checker } from "../lib/config/checker.js";
import { type DirectiveName, isHash } from "./directives.js";
import type { NonceUse, Preset } from "./presets.js";

/** The directives of a policy, checked, in the order in which they are sent. */
export type Directives = ReadonlyMap<DirectiveName, readonly string[]>;

/** A policy as text, split where the nonce goes; one piece if it has no nonce. */
type PolicyText = readonly string[];

export interface Policy {
  readonly header: "Content-Security-Policy" | "Content-Security-Policy-Report-Only";
  readonly plain: PolicyText;
  /** For TLS: with `upgrade-insecure-requests` if the policy has it, which can break a page over plain HTTP. */
  readonly tls: PolicyText;
}

const UPGRADE_DIRECTIVE = "upgrade-insecure-requests";
/** Placeholder for the nonce; no given value can contain it, because a given nonce is refused. */
const NONCE_PLACEHOLDER = "'nonce-'";

/**
 * @param directives with the nonce: see `withNonce`
 * @param tail directives that are written last (reporting)
 */
export function writePolicy(
  directives: Directives,
  reportOnly: boolean,
  tail: readonly (readonly [string, string])[],
  { separator, tlsOnly }: Preset,
): Policy {
  const secure = reportOnly ? without(directives, UPGRADE_DIRECTIVE) : directives; // a report-only policy cannot upgrade anything
  const plain = tlsOnly ? without(directives, UPGRADE_DIRECTIVE) : secure;
  return {
    header: reportOnly ? "Content-Security-Policy-Report-Only" : "Content-Security-Policy",
    plain: write(plain, reportOnly, tail, separator),
    tls: write(secure, reportOnly, tail, separator),
  };
}

function write(
  directives: Directives,
  reportOnly: boolean,
  tail: readonly (readonly [string, string])[],
  separator: Preset["separator"],
): PolicyText {
  const all: Record<string, string[]> = {};
  for (const [name, values] of directives) all[name] = [...values];
  for (const [name, value] of tail) all[name] = [value];
  const text = headerValueOf(contentSecurityPolicy({ useDefaults: false, directives: all, reportOnly }));
  return text.replaceAll(";", separator).split(NONCE_PLACEHOLDER);
}

/** The policy for one response: the pieces with its nonce between them. */
export function fillNonce(text: PolicyText, nonce: string): string {
  return text.join(`'nonce-${nonce}'`);
}

const NONCE_DIRECTIVES = { script: "script-src", style: "style-src" } as const;

/**
 * Adds the nonce for scripts, styles or both. `script-src-elem` and `style-src-elem` need it too where they are given,
 * because browsers use them instead of the general directives. Attributes (`onclick`, `style`) cannot have a nonce.
 */
export function withNonce(directives: Directives, use: NonceUse): Directives {
  const result = new Map(directives);
  for (const { name, from } of nonceTargets(directives, use)) {
    result.set(name, addNonce(directives.get(from) ?? []));
  }
  return result;
}

/** The directives that get a nonce, and the directives from which they copy their other sources. */
function nonceTargets(
  directives: Directives,
  use: NonceUse,
): { readonly name: DirectiveName; readonly from: DirectiveName; readonly kind: "script" | "style" }[] {
  return (["script", "style"] as const)
    .filter((kind) => use === true || use === kind)
    .flatMap((kind) => {
      const name = NONCE_DIRECTIVES[kind];
      const element = `${name}-elem` as const;
      const general = { name, from: directives.has(name) ? name : ("default-src" as const), kind };
      return directives.has(element) ? [general, { name: element, from: element, kind }] : [general];
    });
}

function addNonce(values: readonly string[]): readonly string[] {
  const rest = values.filter((value) => value !== "'none'");
  return rest[0] === "'self'"
    ? ["'self'", NONCE_PLACEHOLDER, ...rest.slice(1)]
    : [NONCE_PLACEHOLDER, ...rest];
}

/** Directives that `default-src` does not cover (CSP Level 3, section 6). */
const NOT_COVERED = ["frame-ancestors", "base-uri", "form-action"] as const;

/** The policy that Express sets on its own pages (404, 500, redirects); it replaces ours. */
export const EXPRESS_POLICY = "default-src 'none'";

/** Express's policy with our directives that it does not cover; undefined if we have none of them. */
export function errorPolicyOf(directives: Directives): string | undefined {
  const kept = NOT_COVERED.flatMap((name) => {
    const values = directives.get(name);
    return values === undefined ? [] : [`; ${name} ${values.join(" ")}`];
  });
  return kept.length === 0 ? undefined : EXPRESS_POLICY + kept.join("");
}

/** The X-Frame-Options with the same meaning, for old browsers; undefined if there is none. */
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

/** With `'strict-dynamic'`, browsers ignore hosts and 'self': without a nonce or a hash no script would run. */
export function refuseStrictDynamicAlone(checker: Checker, directives: Directives, nonce: NonceUse): void {
  for (const [name, values] of directives) {
    if (!values.includes("'strict-dynamic'")) continue;
    if (!/^(?:default-src|script-src|script-src-elem|worker-src)$/.test(name)) {
      checker.add(`directives.${name}`, "has 'strict-dynamic', which is for scripts only", values);
    } else if (nonce !== true && nonce !== "script" && !values.some(isHash)) {
      checker.add(
        `directives.${name}`,
        "has 'strict-dynamic' without a nonce or a hash, so that no script would run; set contentSecurityPolicy.nonce: true",
        values,
      );
    }
  }
}

/**
 * Browsers ignore `'unsafe-inline'` in a directive with a nonce (CSP Level 3, section 6.7.3.2), so inline code that ran
 * before would stop silently. With `'strict-dynamic'` it is allowed, as the known fallback for old browsers.
 */
export function refuseInlineBesideNonce(
  checker: Checker,
  directives: Directives,
  changes: ReadonlyMap<DirectiveName, unknown>,
  nonce: NonceUse,
  preset: Preset,
): void {
  const reported = new Set<DirectiveName>();
  for (const { name, from, kind } of nonceTargets(directives, nonce)) {
    const values = directives.get(from) ?? [];
    if (!values.includes("'unsafe-inline'") || values.includes("'strict-dynamic'") || reported.has(from))
      continue;
    reported.add(from);
    const other = kind === "style" ? "script" : "style";
    const needsOther = nonce === true || (other === "script" && preset.nonce !== false);
    const narrower = needsOther
      ? `write contentSecurityPolicy.nonce: "${other}" for a nonce in ${other}s only`
      : "write contentSecurityPolicy.nonce: false";
    const own = from === "default-src" ? `, or give ${name} sources of its own` : "";
    if (changes.has(from)) {
      checker.add(
        `directives.${from}`,
        `has 'unsafe-inline', which browsers ignore beside a nonce; remove it, or ${narrower}${own}`,
        values,
      );
    } else {
      checker.add(
        "nonce",
        `would make browsers ignore the 'unsafe-inline' in the preset's ${from}; ${narrower}, or give ${name} without 'unsafe-inline'`,
      );
    }
  }
}

type HelmetMiddleware = (req: IncomingMessage, res: ServerResponse, next: () => void) => void;

/** The header value that a middleware of helmet sets. */
export function headerValueOf(middleware: HelmetMiddleware): string {
  let sent = "";
  const res = { setHeader: (_name: string, value: string) => void (sent = value) };
  middleware({} as IncomingMessage, res as unknown as ServerResponse, () => {});
  return sent;
}
