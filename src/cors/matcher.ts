import { MAX_ORIGIN_LENGTH, type OriginPattern } from "./origin.js";

/** Whether a request's Origin is one of those that are configured. */
export type Matcher = (origin: string) => boolean;

/**
 * One look-up for plain origins, however many there are; one for each label of the host for patterns. RegExps, if any,
 * are asked last, one after the other.
 */
export function compileMatcher(patterns: readonly OriginPattern[], regExps: readonly RegExp[]): Matcher {
  const exact = new Set<string>();
  const wide = new Set<string>();
  for (const pattern of patterns) {
    if (!pattern.subdomains && pattern.port !== "*") exact.add(serialize(pattern));
    else
      wide.add(
        keyOf(pattern.scheme, pattern.subdomains ? `.${pattern.host}` : pattern.host, pattern.port ?? ""),
      );
  }
  if (wide.size === 0 && regExps.length === 0) return (origin) => exact.has(origin);
  return (origin) =>
    exact.has(origin) ||
    (origin.length <= MAX_ORIGIN_LENGTH &&
      ((wide.size > 0 && matchesWide(wide, origin)) || regExps.some((pattern) => pattern.test(origin))));
}

function serialize({ scheme, host, port }: OriginPattern): string {
  return `${scheme}://${host}${port === undefined ? "" : `:${port}`}`;
}

function keyOf(scheme: string, host: string, port: string): string {
  return `${scheme}://${host}:${port}`;
}

/** What a browser sends: no user, no path. */
const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([1-9][0-9]{0,4}))?$/;

function matchesWide(wide: ReadonlySet<string>, origin: string): boolean {
  const parts = ORIGIN.exec(origin);
  if (parts === null) return false;
  const [, scheme, host, port = ""] = parts as unknown as [string, string, string, string?];
  const has = (key: string) => wide.has(keyOf(scheme, key, port)) || wide.has(keyOf(scheme, key, "*"));
  if (host[0] === ".") return false; // an empty label: no host, though it is the key of a pattern
  if (has(host)) return true;
  // `*.` stands for one label or more: a suffix that begins with a dot, and something before it.
  for (let dot = host.indexOf(".", 1); dot !== -1; dot = host.indexOf(".", dot + 1)) {
    if (has(host.slice(dot))) return true;
  }
  return false;
}
