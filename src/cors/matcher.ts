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
  return (origin) => {
    if (exact.has(origin)) return true;
    const parts = readOrigin(origin);
    if (parts === null) return false;
    return (wide.size > 0 && matchesWide(wide, parts)) || regExps.some((pattern) => pattern.test(origin));
  };
}

/** Scheme, host and port as browsers write them, and nothing else: no second origin after a comma, no path. */
const ORIGIN =
  /^([a-z][a-z0-9+.-]*):\/\/(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::([1-9][0-9]{0,4}))?$/;

/** Whether an Origin header holds one origin: Node joins several with a comma, and a loose rule could let both in. */
export function isOrigin(text: string): boolean {
  return text.length <= MAX_ORIGIN_LENGTH && ORIGIN.test(text);
}

function readOrigin(text: string): RegExpExecArray | null {
  return text.length <= MAX_ORIGIN_LENGTH ? ORIGIN.exec(text) : null;
}

function matchesWide(wide: ReadonlySet<string>, parts: RegExpExecArray): boolean {
  const [, scheme, host, port = ""] = parts as unknown as [string, string, string, string?];
  const has = (key: string) => wide.has(keyOf(scheme, key, port)) || wide.has(keyOf(scheme, key, "*"));
  if (has(host)) return true;
  // `*.` stands for one label or more: a suffix that begins with a dot, and something before it.
  for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) {
    if (has(host.slice(dot))) return true;
  }
  return false;
}

function serialize({ scheme, host, port }: OriginPattern): string {
  return `${scheme}://${host}${port === undefined ? "" : `:${port}`}`;
}

function keyOf(scheme: string, host: string, port: string): string {
  return `${scheme}://${host}:${port}`;
}
