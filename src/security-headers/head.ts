import type { ServerResponse } from "node:http";
import { EXPRESS_POLICY } from "./policy.js";

/** What the instances of `securityHeaders` on one response want; read when its head is written. */
export interface Wanted {
  /** Replaces the policy of Express's own error pages. */
  errorPolicy: string | null;
  /** Used if the handler sets no `Cache-Control`. */
  cacheControl: string | null;
  nonce: string | undefined;
  hooked: boolean;
}

const WANTED: unique symbol = Symbol.for("express-portico/1.security-headers") as never;
type Marked = ServerResponse & { [WANTED]?: Wanted };

export function wantedOf(res: ServerResponse): Wanted | undefined {
  return (res as Marked)[WANTED];
}

export function markAsFirst(res: ServerResponse): Wanted {
  const wanted: Wanted = { errorPolicy: null, cacheControl: null, nonce: undefined, hooked: false };
  (res as Marked)[WANTED] = wanted;
  return wanted;
}

const POLICY = "Content-Security-Policy";
const REPORT_ONLY = "Content-Security-Policy-Report-Only";

/** Sets the headers that depend on the handler's own headers. */
export function finishHead(res: ServerResponse, wanted: Wanted): void {
  // A mounted app sets the header again; a value that a handler set stays.
  if (res.getHeader("x-powered-by") === "Express") res.removeHeader("x-powered-by");
  if (wanted.errorPolicy !== null && res.statusCode >= 300 && res.getHeader(POLICY) === EXPRESS_POLICY) {
    res.setHeader(POLICY, wanted.errorPolicy);
  }
  if (wanted.cacheControl !== null && !res.hasHeader("Cache-Control")) {
    res.setHeader("Cache-Control", wanted.cacheControl);
  }
  if (wanted.nonce !== undefined) finishNonce(res, wanted.nonce);
}

/**
 * A page with a nonce belongs to one response. A policy with a new nonce on a 304 would replace the stored policy of the
 * page with the old nonce (RFC 9111 section 4.3.4), so a 304 carries none.
 */
function finishNonce(res: ServerResponse, nonce: string): void {
  const enforced = holds(res, POLICY, nonce);
  const reported = holds(res, REPORT_ONLY, nonce);
  if (!enforced && !reported) return;
  if (res.statusCode === 304) {
    if (enforced) res.removeHeader(POLICY);
    if (reported) res.removeHeader(REPORT_ONLY);
  }
  if (!res.hasHeader("Cache-Control")) res.setHeader("Cache-Control", "private, no-cache");
}

function holds(res: ServerResponse, header: string, nonce: string): boolean {
  const value = res.getHeader(header);
  return value !== undefined && String(value).includes(nonce);
}
