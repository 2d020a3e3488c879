import type { IncomingHttpHeaders } from "node:http";
import { type DirectiveName, parseDirectives } from "./directives.js";

/** The directives of a request (RFC 9111 section 5.2.1). */
export interface RequestDirectives {
  readonly noStore: boolean;
  readonly noCache: boolean;
  readonly maxAgeMs?: number;
  readonly minFreshMs?: number;
  /** Infinity: however stale it is. */
  readonly maxStaleMs?: number;
  readonly onlyIfCached: boolean;
}

/** Those of nearly every request. */
export const NO_DIRECTIVES: RequestDirectives = Object.freeze({
  noStore: false,
  noCache: false,
  onlyIfCached: false,
});

export function requestDirectivesOf(headers: IncomingHttpHeaders): RequestDirectives {
  const field = headers["cache-control"];
  if (field === undefined) {
    // Pragma counts only without Cache-Control (section 5.4).
    const { pragma } = headers;
    return pragma !== undefined && parseDirectives(pragma).has("no-cache") ? PRAGMA_NO_CACHE : NO_DIRECTIVES;
  }
  const directives = parseDirectives(field);
  const ms = (name: DirectiveName, unreadable: number | undefined) => {
    const seconds = directives.seconds(name);
    if (seconds !== undefined) return seconds * 1000;
    return directives.has(name) ? unreadable : undefined;
  };
  // An unreadable argument counts as the strictest one; min-fresh has no strictest.
  const maxAgeMs = ms("max-age", 0);
  const minFreshMs = ms("min-fresh", undefined);
  const maxStaleMs = directives.isBare("max-stale") ? Number.POSITIVE_INFINITY : ms("max-stale", undefined);
  return {
    noStore: directives.has("no-store"),
    noCache: directives.has("no-cache"),
    onlyIfCached: directives.has("only-if-cached"),
    ...(maxAgeMs !== undefined && { maxAgeMs }),
    ...(minFreshMs !== undefined && { minFreshMs }),
    ...(maxStaleMs !== undefined && { maxStaleMs }),
  };
}

const PRAGMA_NO_CACHE: RequestDirectives = Object.freeze({ ...NO_DIRECTIVES, noCache: true });
