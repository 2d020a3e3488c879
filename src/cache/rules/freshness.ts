import type { IncomingHttpHeaders } from "node:http";
import type { HeaderList } from "../../lib/response/snapshot.js";
import { type DirectiveName, type Directives, MAX_SECONDS, parseDirectives } from "./directives.js";
import { fieldOf, parseHttpDate } from "./fields.js";
import { directivesOf } from "./targeted.js";

/**
 * How a shared cache may use a stored response, by its headers (RFC 9111). Computed once for each stored response.
 * Times in milliseconds.
 */
export interface Policy {
  /** The freshness lifetime; 0 if the headers name none. */
  readonly lifetimeMs: number;
  /** The corrected initial age (section 4.2.3). */
  readonly initialAgeMs: number;
  /** When the response came, by the local clock: the age grows from here. */
  readonly respondedAt: number;
  /** `no-cache`: must be validated for every use. */
  readonly noCache: boolean;
  /** `must-revalidate`, `proxy-revalidate` or `s-maxage`: never used stale. */
  readonly mustRevalidate: boolean;
  /** `public`, `s-maxage` or `must-revalidate`: also for authenticated requests (section 3.5). */
  readonly shared: boolean;
  /** How long it may be used stale while it is revalidated (RFC 5861). */
  readonly staleWhileRevalidateMs: number;
  /** How long it may be used stale in place of an error (RFC 5861). */
  readonly staleIfErrorMs: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** The part of a stored entry that its policy depends on. */
interface DatedHeaders {
  readonly headers: HeaderList;
  readonly requestedAt: number;
  readonly respondedAt: number;
}

export function policyOf(entry: DatedHeaders): Policy {
  const { headers, requestedAt, respondedAt } = entry;
  const { directives, targeted } = directivesOf(headers);
  const date = dateOf(headers, respondedAt);
  const expires = targeted ? undefined : fieldOf(headers, "expires");
  return {
    lifetimeMs: lifetimeOf(directives, expires, date ?? respondedAt, respondedAt),
    initialAgeMs: initialAgeOf(headers, date, requestedAt, respondedAt),
    respondedAt,
    noCache: directives.has("no-cache") && directives.fields("no-cache") === undefined,
    mustRevalidate:
      directives.has("must-revalidate") || directives.has("proxy-revalidate") || directives.has("s-maxage"),
    shared: isShared(directives),
    staleWhileRevalidateMs: (directives.seconds("stale-while-revalidate") ?? 0) * 1000,
    staleIfErrorMs: (directives.seconds("stale-if-error") ?? 0) * 1000,
    etag: fieldOf(headers, "etag"),
    lastModified: fieldOf(headers, "last-modified"),
  };
}

export function ageMs(policy: Policy, now: number): number {
  // If the clock was set back, the age does not fall below the initial age.
  return policy.initialAgeMs + Math.max(0, now - policy.respondedAt);
}

/** How long it stays fresh; negative if it is stale already. */
export function freshForMs(policy: Policy, now: number): number {
  return policy.lifetimeMs - ageMs(policy, now);
}

/**
 * Whether the directives allow a shared cache to store a response to a request with Authorization (section 3.5). A directive
 * with an argument that it cannot have allows nothing.
 */
export function isShared(directives: Directives): boolean {
  return (
    directives.isBare("public") ||
    directives.isBare("must-revalidate") ||
    directives.seconds("s-maxage") !== undefined
  );
}

/**
 * The freshness lifetime (section 4.2.1). If a lifetime cannot be read it is 0: the next source is not used. `date`: the
 * Date of the response, or when it came.
 */
export function lifetimeOf(
  directives: Directives,
  expires: string | undefined,
  date: number,
  now: number,
): number {
  if (directives.has("s-maxage")) return (directives.seconds("s-maxage") ?? 0) * 1000;
  if (directives.has("max-age")) return (directives.seconds("max-age") ?? 0) * 1000;
  if (expires === undefined) return 0;
  // An Expires that is no date, such as "0" or several lines, is in the past (section 5.3).
  const end = parseHttpDate(expires, now) ?? date;
  return Math.min(Math.max(0, end - date), MAX_SECONDS * 1000);
}

/** The Date of the response; undefined if there is none or it cannot be read. */
export function dateOf(headers: HeaderList, now: number): number | undefined {
  const date = fieldOf(headers, "date");
  return date === undefined ? undefined : parseHttpDate(date, now);
}

/** The corrected initial age (section 4.2.3). */
function initialAgeOf(
  headers: HeaderList,
  date: number | undefined,
  requestedAt: number,
  respondedAt: number,
): number {
  // Date has whole seconds, so a part of a second is not age.
  const apparent = date === undefined ? 0 : Math.floor((respondedAt - date) / 1000) * 1000;
  const corrected = ageValueOf(headers) * 1000 + Math.max(0, respondedAt - requestedAt);
  return Math.min(Math.max(apparent, corrected), MAX_SECONDS * 1000);
}

/** The Age in seconds: the first member counts, and what is not a non-negative integer is ignored (section 5.1). */
function ageValueOf(headers: HeaderList): number {
  const field = fieldOf(headers, "age");
  if (field === undefined) return 0;
  const first = FIRST_MEMBER.exec(field)?.[1] ?? "";
  return /^[0-9]+$/.test(first) ? Math.min(Number(first), MAX_SECONDS) : 0;
}

/** Skips empty members (RFC 9110 section 5.6.1.2). */
const FIRST_MEMBER = /^[ \t,]*([^, \t]+)[ \t]*(?:,|$)/;

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

/**
 * How a stored response may be used.
 *
 * - `fresh`: sent as it is
 * - `stale-while-revalidate`: sent, and revalidated in the background
 * - `stale`: the handlers are asked, as it is stale
 * - `validate`: the handlers are asked, as the response or the client requires it
 */
export type Reuse = "fresh" | "stale-while-revalidate" | "stale" | "validate";

/** `directives` undefined: those of requests do not count. */
export function reuse(policy: Policy, directives: RequestDirectives | undefined, now: number): Reuse {
  if (policy.noCache) return "validate";
  const age = ageMs(policy, now);
  const freshForMs = policy.lifetimeMs - age;
  if (directives !== undefined && isRefused(directives, age, freshForMs))
    return freshForMs > 0 ? "validate" : "stale";
  if (freshForMs > 0) return "fresh";
  if (policy.mustRevalidate) return "stale";
  if (-freshForMs < policy.staleWhileRevalidateMs) return "stale-while-revalidate";
  // max-stale never overrides must-revalidate, which is checked above.
  return directives?.maxStaleMs !== undefined && -freshForMs <= directives.maxStaleMs ? "fresh" : "stale";
}

/** Whether the request directives refuse a response of this age. */
function isRefused(directives: RequestDirectives, age: number, freshForMs: number): boolean {
  if (directives.noCache) return true;
  const { maxAgeMs, minFreshMs } = directives;
  // max-age=0 is a reload, also of an answer from the same millisecond.
  if (maxAgeMs !== undefined && (age > maxAgeMs || maxAgeMs === 0)) return true;
  return minFreshMs !== undefined && freshForMs < minFreshMs;
}

/** Whether it may replace an error of the handlers (RFC 5861 section 4). */
export function mayServeOnError(policy: Policy, now: number): boolean {
  if (policy.noCache || policy.mustRevalidate || policy.staleIfErrorMs === 0) return false;
  return ageMs(policy, now) - policy.lifetimeMs <= policy.staleIfErrorMs;
}
