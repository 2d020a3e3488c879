import type { IncomingMessage } from "node:http";
import { withoutUserinfo } from "../http/target.js";
import { words } from "../values/words.js";

/** Replaces a secret value. */
export const REDACTED = "REDACTED";

/** Query parameters of signed links (OpenTelemetry's list); matched exactly. */
const SIGNED_LINK_NAMES = words(
  "X-Amz-Signature X-Amz-Credential X-Amz-Security-Token AWSAccessKeyId Signature sig",
  "X-Goog-Signature",
);
/** Common names of secrets; matched in any case, like the names of the option. */
const SECRET_NAMES = words(
  "access_token id_token refresh_token token jwt code password secret client_secret api_key apikey",
);

const SECRET_HEADERS: ReadonlySet<string> = new Set(
  words("authorization proxy-authorization cookie set-cookie x-api-key dpop"),
);

/** Headers with a URL as value, which may have a secret in its query. */
const URL_HEADERS: ReadonlySet<string> = new Set(
  words("referer referrer location content-location x-original-url x-rewrite-url x-forwarded-uri"),
);

/** Names of query parameters with secret values. */
export interface SecretNames {
  readonly exact: ReadonlySet<string>;
  /** In lower case. */
  readonly folded: ReadonlySet<string>;
}

/** What a request log hides, and which headers it shows. */
export interface Redaction {
  readonly secrets: SecretNames;
  /** Names in lower case. */
  readonly headers: readonly string[];
  readonly redactPath: ((path: string, req: IncomingMessage) => string) | undefined;
}

export function secretNames(more: readonly string[] = []): SecretNames {
  return {
    exact: new Set(SIGNED_LINK_NAMES),
    folded: new Set([...SECRET_NAMES, ...more].map((name) => name.toLowerCase())),
  };
}

/**
 * Replaces the value of each secret; names and their order stay. Never throws, and takes linear time. A pair inside a
 * value (`a=1?token=x`, a malformed URL) counts as a pair.
 */
export function redactQuery(query: string, names: SecretNames): string {
  let redacted = "";
  let copied = 0;
  let next = 0;
  for (let equals = query.indexOf("="); equals !== -1; equals = query.indexOf("=", next)) {
    let start = equals;
    while (start > next && !isDelimiter(query.charCodeAt(start - 1))) start--;
    next = equals + 1;
    if (!isSecret(query.slice(start, equals), names)) continue;
    redacted += query.slice(copied, next) + REDACTED;
    copied = next = endOfValue(query, next);
  }
  return copied === 0 ? query : redacted + query.slice(copied);
}

function isDelimiter(code: number): boolean {
  return code === 0x26 /* & */ || code === 0x3f /* ? */ || code === 0x23 /* # */;
}

function endOfValue(query: string, from: number): number {
  let end = from;
  while (end < query.length && query[end] !== "&" && query[end] !== "#") end++;
  return end;
}

/**
 * Removes the userinfo from a URL and the secrets from its query and fragment.
 *
 * @param path redacts the path
 */
export function redactUrl(url: string, names: SecretNames, path?: (path: string) => string): string {
  const clean = withoutUserinfo(url);
  const end = clean.search(/[?#]/);
  const before = end === -1 ? clean : clean.slice(0, end);
  const after = end === -1 ? "" : redactQuery(clean.slice(end), names);
  if (path === undefined) return before + after;
  const start = pathStart(before);
  return before.slice(0, start) + path(before.slice(start)) + after;
}

/** Returns the value of a header that may be logged. */
export function redactHeader(name: string, value: string, names: SecretNames): string {
  if (SECRET_HEADERS.has(name)) return REDACTED;
  return URL_HEADERS.has(name) ? redactUrl(value, names) : value;
}

function pathStart(url: string): number {
  const authority = url.indexOf("//");
  if (authority === -1) return 0;
  const slash = url.indexOf("/", authority + 2);
  return slash === -1 ? url.length : slash;
}

/** A nested name is secret if one of its parts is: `user[password]`. */
function isSecret(encoded: string, names: SecretNames): boolean {
  const name = decode(encoded);
  if (matches(name, names)) return true;
  return name.includes("[") && name.split(/[[\]]+/).some((part) => matches(part, names));
}

function matches(name: string, { exact, folded }: SecretNames): boolean {
  return exact.has(name) || folded.has(name.toLowerCase());
}

/** If `decodeURIComponent` throws, each escape is decoded by itself, so that a malformed name cannot hide a secret. */
function decode(name: string): string {
  if (!/[%+]/.test(name)) return name;
  const plain = name.replace(/\+/g, " ").trim();
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
}
