import type { Checker } from "../lib/config/checker.js";
import { didYouMean } from "../lib/config/did-you-mean.js";
import type { DirectiveName } from "./directives.js";
import { type Directives, nonceTargets } from "./policy.js";
import type { NonceUse, Preset } from "./presets.js";
import { isHash } from "./sources.js";

export function readNonce(checker: Checker, preset: Preset): NonceUse {
  const { nonce = preset.nonce } = checker.options;
  if (typeof nonce === "boolean" || nonce === "script" || nonce === "style") return nonce;
  const meant = typeof nonce === "string" ? didYouMean(nonce, ["script", "style"]) : undefined;
  const hint = meant === undefined ? "" : `. Did you mean "${meant}"?`;
  checker.add("nonce", `must be true or false, "script" or "style"${hint}`);
  return preset.nonce;
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
