import { ageMs, type Policy } from "./policy.js";
import type { Wish } from "./request-directives.js";

/**
 * What may be done with a stored response: sent as it is; sent while it is refreshed; given up for what the handlers
 * answer; or the same, though it is fresh, because its maker or the client wants it validated.
 */
export type Reuse = "fresh" | "stale-while-revalidate" | "stale" | "validate";

/** `wish` undefined: what clients wish is not honoured. */
export function reuse(policy: Policy, wish: Wish | undefined, now: number): Reuse {
  if (policy.noCache) return "validate";
  const age = ageMs(policy, now);
  const freshForMs = policy.lifetimeMs - age;
  if (wish !== undefined && isRefused(wish, age, freshForMs)) return freshForMs > 0 ? "validate" : "stale";
  if (freshForMs > 0) return "fresh";
  if (policy.mustRevalidate) return "stale";
  if (-freshForMs < policy.staleWhileRevalidateMs) return "stale-while-revalidate";
  // A client may put up with what is stale, but not on behalf of those who forbid it.
  return wish?.maxStaleMs !== undefined && -freshForMs <= wish.maxStaleMs ? "fresh" : "stale";
}

/** Whether the client will not have a response of this age, fresh or not. */
function isRefused(wish: Wish, age: number, freshForMs: number): boolean {
  if (wish.noCache) return true;
  const { maxAgeMs, minFreshMs } = wish;
  // max-age=0 is a reload: also of what came in this very millisecond.
  if (maxAgeMs !== undefined && (age > maxAgeMs || maxAgeMs === 0)) return true;
  return minFreshMs !== undefined && freshForMs < minFreshMs;
}

/** RFC 5861 section 4: whether it may stand in for an answer that failed. */
export function mayServeOnError(policy: Policy, now: number): boolean {
  if (policy.noCache || policy.mustRevalidate || policy.staleIfErrorMs === 0) return false;
  return ageMs(policy, now) - policy.lifetimeMs <= policy.staleIfErrorMs;
}
