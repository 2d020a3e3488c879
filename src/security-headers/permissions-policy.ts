import { didYouMean } from "../lib/config/did-you-mean.js";
import { urlOf } from "../lib/http/target.js";
import { quote } from "../lib/http/tokens.js";
import { words } from "../lib/values/words.js";

/** `[]`: nobody, `"*"`: everybody, else a list with `"self"` and origins. */
export type Allowlist = "*" | readonly string[];

/** Known features, for suggestions. A name that is not similar to any of them may be a newer feature, and passes. */
const FEATURES = words(
  "accelerometer ambient-light-sensor attribution-reporting autoplay bluetooth browsing-topics camera",
  "captured-surface-control clipboard-read clipboard-write compute-pressure cross-origin-isolated deferred-fetch",
  "deferred-fetch-minimal display-capture document-domain encrypted-media fullscreen gamepad geolocation gyroscope",
  "hid identity-credentials-get idle-detection interest-cohort join-ad-interest-group keyboard-map",
  "language-detector local-fonts local-network-access magnetometer microphone midi otp-credentials payment",
  "picture-in-picture private-state-token-issuance private-state-token-redemption publickey-credentials-create",
  "publickey-credentials-get run-ad-auction screen-wake-lock serial shared-storage speaker-selection storage-access",
  "summarizer sync-xhr translator unload usb vertical-scroll web-share window-management xr-spatial-tracking",
);

/** The problem of a feature's name, or undefined. */
export function featureProblem(name: string): string | undefined {
  if (FEATURES.includes(name)) return undefined;
  if (!/^[a-z][a-z0-9-]*$/.test(name)) {
    return "is not the name of a feature; write it as the standard does, such as camera or display-capture";
  }
  const similar = didYouMean(name, FEATURES);
  return similar === undefined ? undefined : `unknown feature. Did you mean "${similar}"?`;
}

/** The problem of a feature's allowlist, or undefined. */
export function allowlistProblem(list: unknown): string | undefined {
  if (list === "*") return undefined;
  if (!Array.isArray(list)) {
    return 'must be [] (nobody), "*" (everybody), or a list such as ["self", "https://maps.example"]';
  }
  for (const member of list as unknown[]) {
    const problem = memberProblem(member);
    if (problem !== undefined) return problem;
  }
  return new Set(list).size < list.length ? "has a member twice; leave one of them out" : undefined;
}

function memberProblem(member: unknown): string | undefined {
  if (member === "self" || isOrigin(member)) return undefined;
  const shown = JSON.stringify(member) ?? String(member);
  if (member === "*") return 'has "*" in a list; write "*" instead of the list';
  if (member === "none" || member === "'none'") return `has ${shown}; write [] for nobody`;
  if (member === "'self'")
    return `has ${shown}, which is the form of content security policies; write "self"`;
  return `has ${shown}, which is neither "self" nor an origin such as "https://maps.example" (no path, no slash at the end)`;
}

/** An origin as browsers write it; `https://*.example.com` means all subdomains. */
function isOrigin(member: unknown): boolean {
  if (typeof member !== "string" || !/^https?:\/\/[\w.:[\]*-]+$/.test(member)) return false;
  const plain = member.replace("://*.", "://");
  return urlOf(plain)?.origin === plain;
}

/** The header's value (a dictionary of RFC 9651, section 3.2), or undefined if the policy is empty. */
export function serializePermissions(policy: Readonly<Record<string, Allowlist>>): string | undefined {
  const members = Object.entries(policy).map(([feature, list]) => `${feature}=${serializeList(list)}`);
  return members.length === 0 ? undefined : members.join(", ");
}

function serializeList(list: Allowlist): string {
  if (typeof list === "string") return list;
  return `(${list.map((member) => (member.includes(":") ? quote(member) : member)).join(" ")})`;
}
