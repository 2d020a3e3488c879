import type { HeaderList } from "../../lib/response/snapshot.js";
import type { Entry } from "../entry.js";
import { type Directives, MAX_SECONDS } from "./directives.js";
import { fieldOf } from "./fields.js";
import { parseHttpDate } from "./http-date.js";
import { directivesOf } from "./targeted.js";

/**
 * What the headers of a stored response say about its use by a shared cache, in numbers (RFC 9111). Computed once per
 * stored response; times in milliseconds.
 */
export interface Policy {
  /** The freshness lifetime; 0 if nothing gives one. */
  readonly lifetimeMs: number;
  /** The corrected initial age (section 4.2.3). */
  readonly initialAgeMs: number;
  /** When the response came (local clock): the age grows from here. */
  readonly respondedAt: number;
  /** `no-cache`: every use needs a validation. */
  readonly noCache: boolean;
  /** `must-revalidate`, `proxy-revalidate` or `s-maxage`: never used stale. */
  readonly mustRevalidate: boolean;
  /** `public`, `s-maxage` or `must-revalidate`: also for requests that say who asks (section 3.5). */
  readonly shared: boolean;
  /** RFC 5861: how long after its end of freshness it may still be used, while it is refreshed, or on an error. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

export function policyOf(entry: Pick<Entry, "status" | "headers" | "requestedAt" | "respondedAt">): Policy {
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
  // A clock that was set back makes nothing younger than it was when it came.
  return policy.initialAgeMs + Math.max(0, now - policy.respondedAt);
}

/** How long it is still fresh; negative: for how long it has been stale. */
export function freshForMs(policy: Policy, now: number): number {
  return policy.lifetimeMs - ageMs(policy, now);
}

export function isFresh(policy: Policy, now: number): boolean {
  return freshForMs(policy, now) > 0;
}

/**
 * Section 3.5: the directives that let a response to a request with Authorization be stored and shared. Misspelt, they
 * permit nothing.
 */
export function isShared(directives: Directives): boolean {
  return (
    directives.isBare("public") ||
    directives.isBare("must-revalidate") ||
    directives.seconds("s-maxage") !== undefined
  );
}

/**
 * Section 4.2.1. A lifetime that is there but cannot be read is 0, not the next best. `date`: of the response, or
 * when it came.
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
  // Several lines are no date together, and so in the past (section 5.3), as "0" is.
  const end = parseHttpDate(expires, now) ?? date;
  return Math.min(Math.max(0, end - date), MAX_SECONDS * 1000);
}

/** The Date of the response, if it can be read. */
export function dateOf(headers: HeaderList, now: number): number | undefined {
  const date = fieldOf(headers, "date");
  return date === undefined ? undefined : parseHttpDate(date, now);
}

/** Section 4.2.3. */
function initialAgeOf(
  headers: HeaderList,
  date: number | undefined,
  requestedAt: number,
  respondedAt: number,
): number {
  // Date has whole seconds: the rest of one is not age.
  const apparent = date === undefined ? 0 : Math.floor((respondedAt - date) / 1000) * 1000;
  const corrected = ageValueOf(headers) * 1000 + Math.max(0, respondedAt - requestedAt);
  return Math.min(Math.max(apparent, corrected), MAX_SECONDS * 1000);
}

/** Section 5.1: the first member counts, and what is no non-negative integer is ignored. */
function ageValueOf(headers: HeaderList): number {
  const field = fieldOf(headers, "age");
  if (field === undefined) return 0;
  const first = FIRST_MEMBER.exec(field)?.[1] ?? "";
  return /^[0-9]+$/.test(first) ? Math.min(Number(first), MAX_SECONDS) : 0;
}

/** Empty members are none (RFC 9110 section 5.6.1.2). */
const FIRST_MEMBER = /^[ \t,]*([^, \t]+)[ \t]*(?:,|$)/;
