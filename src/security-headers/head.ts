import type { ServerResponse } from "node:http";
import { EXPRESS_POLICY } from "./policy.js";

/** What the instances of `securityHeaders` on one response want; read when its head is written. */
export interface SharedState {
  /** Replaces the policy of Express's own error pages. */
  errorPolicy: string | null;
  /** Used if the handler sets no `Cache-Control`. */
  cacheControl: string | null;
  nonce: string | undefined;
  hooked: boolean;
}

const SHARED_STATE: unique symbol = Symbol.for("express-portico/1.security-headers") as never;
type WithSharedState = ServerResponse & { [SHARED_STATE]?: SharedState };

export function sharedStateOf(res: ServerResponse): SharedState | undefined {
  return (res as WithSharedState)[SHARED_STATE];
}

export function startSharedState(res: ServerResponse): SharedState {
  const shared: SharedState = { errorPolicy: null, cacheControl: null, nonce: undefined, hooked: false };
  (res as WithSharedState)[SHARED_STATE] = shared;
  return shared;
}

const POLICY = "Content-Security-Policy";
const REPORT_ONLY = "Content-Security-Policy-Report-Only";

/** Sets the headers that depend on the handler's own headers. */
export function finishHead(res: ServerResponse, shared: SharedState): void {
  // A mounted app sets the header again; a value that a handler set stays.
  if (res.getHeader("x-powered-by") === "Express") res.removeHeader("x-powered-by");
  if (shared.errorPolicy !== null && res.statusCode >= 300 && res.getHeader(POLICY) === EXPRESS_POLICY) {
    res.setHeader(POLICY, shared.errorPolicy);
  }
  if (shared.cacheControl !== null && !res.hasHeader("Cache-Control")) {
    res.setHeader("Cache-Control", shared.cacheControl);
  }
  if (shared.nonce !== undefined) finishNonce(res, shared.nonce);
}

/**
 * A page with a nonce belongs to one response. A policy with a new nonce on a 304 would replace the stored policy of the
 * page with the old nonce (RFC 9111 section 4.3.4), so a 304 carries none.
 */
function finishNonce(res: ServerResponse, nonce: string): void {
  const enforced = hasNonce(res, POLICY, nonce);
  const reported = hasNonce(res, REPORT_ONLY, nonce);
  if (!enforced && !reported) return;
  if (res.statusCode === 304) {
    if (enforced) res.removeHeader(POLICY);
    if (reported) res.removeHeader(REPORT_ONLY);
  }
  if (!res.hasHeader("Cache-Control")) res.setHeader("Cache-Control", "private, no-cache");
}

function hasNonce(res: ServerResponse, header: string, nonce: string): boolean {
  const value = res.getHeader(header);
  return value !== undefined && String(value).includes(nonce);
}
