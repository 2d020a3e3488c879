import { ageMs, type Policy } from "./policy.js";
import type { RequestDirectives } from "./request-directives.js";

/**
 * How a stored response may be used.
 *
 * - `fresh`: sent as it is
 * - `stale-while-revalidate`: sent, and refreshed in the background
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
