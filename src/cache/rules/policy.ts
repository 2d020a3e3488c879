import type { HeaderList } from "../../lib/response/snapshot.js";
import type { Entry } from "../entry.js";
import { type Directives, MAX_SECONDS } from "./directives.js";
import { fieldOf } from "./fields.js";
import { parseHttpDate } from "./http-date.js";
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
  /** How long it may be used stale while it is refreshed (RFC 5861). */
  readonly staleWhileRevalidateMs: number;
  /** How long it may be used stale in place of an error (RFC 5861). */
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
  // If the clock was set back, the age does not fall below the initial age.
  return policy.initialAgeMs + Math.max(0, now - policy.respondedAt);
}

/** How long it stays fresh; negative if it is stale already. */
export function freshForMs(policy: Policy, now: number): number {
  return policy.lifetimeMs - ageMs(policy, now);
}

export function isFresh(policy: Policy, now: number): boolean {
  return freshForMs(policy, now) > 0;
}

/**
 * Whether the directives let a response to a request with Authorization be stored and shared (section 3.5). One with an
 * argument that it cannot have permits nothing.
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
