import type { ForeignOptions } from "../lib/config/checker.js";

const BY_HEADER = 'the answer\'s Cache-Control decides: res.set("Cache-Control", "max-age=60")';

/** Options of other packages, and what to use here instead. */
export const FOREIGN: ForeignOptions = {
  hono: {
    cacheName: "name",
    wait: "it is not needed: an answer is stored after it was sent",
    cacheControl: BY_HEADER,
    vary: "the answer's Vary decides: res.vary(name)",
    keyGenerator: "key",
    cacheableStatusCodes: BY_HEADER,
    onCacheNotAvailable: "it is not needed: without its store requests go to the handlers",
  },
  apicache: {
    defaultDuration: BY_HEADER,
    duration: BY_HEADER,
    redisClient: "it is store: redisStore({ client })",
    appendKey: "key",
    statusCodes: BY_HEADER,
    headers: BY_HEADER,
    respectCacheControl: "it is always so: requestDirectives",
    trackPerformance: "it is not needed: cache(…).stats()",
    enabled: "leave the middleware out instead",
  },
};
