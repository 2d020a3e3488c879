import { MAX_ORIGIN_LENGTH, type OriginPattern } from "../lib/http/origin.js";

/** Whether the origin of a request is allowed by the list in `origin`. */
export type Matcher = (origin: string) => boolean;

/**
 * Takes one lookup for all plain origins, and one per label of the host for all patterns. RegExps are tried last, one
 * after the other.
 */
export function compileMatcher(patterns: readonly OriginPattern[], regExps: readonly RegExp[]): Matcher {
  const exact = new Set<string>();
  const wildcards = new Set<string>();
  for (const pattern of patterns) {
    if (pattern.host === "*") wildcards.add(keyOf(pattern.scheme, "*", ""));
    else if (!pattern.subdomains && pattern.port !== "*") exact.add(serialize(pattern));
    else
      wildcards.add(
        keyOf(pattern.scheme, pattern.subdomains ? `.${pattern.host}` : pattern.host, pattern.port ?? ""),
      );
  }
  if (wildcards.size === 0 && regExps.length === 0) return (origin) => exact.has(origin);
  return (origin) => {
    if (exact.has(origin)) return true;
    const parts = readOrigin(origin);
    if (parts === null) return origin === FILE_ORIGIN && regExps.some((pattern) => pattern.test(origin));
    return (
      (wildcards.size > 0 && matchesWildcard(wildcards, parts)) ||
      regExps.some((pattern) => pattern.test(origin))
    );
  };
}

/** The origin of pages of `file:` in some browsers and web views; in the others it is `null`. */
export const FILE_ORIGIN = "file://";

/**
 * Scheme, host and port as browsers write them: one origin only, without a path. Hosts of web schemes are in lower case;
 * those of other schemes may have capitals (Safari's extensions).
 */
const ORIGIN =
  /^(?:(https?|wss?):\/\/(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)|(?!https?:|wss?:)([a-z][a-z0-9+.-]*):\/\/(\[[0-9a-f:.]+\]|[\w-]+(?:\.[\w-]+)*\.?))(?::([1-9][0-9]{0,4}))?$/;

/** Whether an Origin header holds one origin. Node joins several with a comma, which a loose rule could match. */
export function isOrigin(text: string): boolean {
  return text.length <= MAX_ORIGIN_LENGTH && (ORIGIN.test(text) || text === FILE_ORIGIN);
}

function readOrigin(text: string): RegExpExecArray | null {
  return text.length <= MAX_ORIGIN_LENGTH ? ORIGIN.exec(text) : null;
}

function matchesWildcard(wildcards: ReadonlySet<string>, parts: RegExpExecArray): boolean {
  const scheme = (parts[1] ?? parts[3])!;
  const host = (parts[2] ?? parts[4])!;
  const port = parts[5] ?? "";
  const has = (key: string) =>
    wildcards.has(keyOf(scheme, key, port)) || wildcards.has(keyOf(scheme, key, "*"));
  if (has(host)) return true;
  // `*.` stands for one label or more: look up each suffix that begins with a dot.
  for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) {
    if (has(host.slice(dot))) return true;
  }
  return port === "" && wildcards.has(keyOf(scheme, "*", ""));
}

export function serialize({ scheme, host, subdomains, port }: OriginPattern): string {
  return `${scheme}://${subdomains ? "*." : ""}${host}${port === undefined ? "" : `:${port}`}`;
}

function keyOf(scheme: string, host: string, port: string): string {
  return `${scheme}://${host}:${port}`;
}
