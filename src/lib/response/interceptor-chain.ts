import type { ServerResponse } from "node:http";
import { INTERCEPTORS, type Interceptor, type Outer } from "./interceptor.js";
import { type Intercepted, InterceptorSlot } from "./interceptor-slot.js";

/**
 * Adds an interceptor to the response, as its innermost one. The app sees no difference: `headersSent` and
 * `writableEnded` are true once the app has begun and ended its answer, and headers can no longer be changed, even while
 * the interceptor has sent nothing yet.
 */
export function intercept(res: ServerResponse, make: (outer: Outer) => Interceptor): void {
  const intercepted = res as Intercepted;
  const slot = new InterceptorSlot(intercepted);
  intercepted[INTERCEPTORS] = slot;
  slot.install(make(slot));
}

export function interceptorCount(res: ServerResponse): number {
  let count = 0;
  for (let slot = (res as Intercepted)[INTERCEPTORS]; slot !== undefined; slot = slot.outer) count++;
  return count;
}

/** Whether an interceptor is calling Node, or outer code, at this moment. */
export function isInterceptorCalling(res: ServerResponse): boolean {
  for (let slot = (res as Intercepted)[INTERCEPTORS]; slot !== undefined; slot = slot.outer) {
    if (slot.passing > 0 || slot.beginning) return true;
  }
  return false;
}

/** Removes the innermost interceptors down to `count`: what they have not sent is lost, and their later calls do nothing. */
export function dropInterceptors(res: ServerResponse, count: number): void {
  const intercepted = res as Intercepted;
  for (let left = interceptorCount(res); left > count; left--) {
    const slot = intercepted[INTERCEPTORS]!;
    intercepted[INTERCEPTORS] = slot.outer;
    slot.drop();
  }
}
