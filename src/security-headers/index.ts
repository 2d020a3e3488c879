import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { warnOnce } from "../lib/log/callback-faults.js";
import { adopt } from "../lib/request/transport.js";
import { beforeHead } from "../lib/response/intercept.js";
import { randomText } from "../lib/values/random.js";
import {
  checkOptions,
  firstPlan,
  type HeaderPlan,
  laterPlan,
  type Pairs,
  type SecurityHeadersOptions,
} from "./options.js";
import { EXPRESS_POLICY, fillNonce, type Policy } from "./policy.js";

export type { ContentSecurityPolicyDirectives } from "./directives.js";
export type { ReferrerPolicy, StrictTransportSecurityOptions } from "./header-options.js";
export type { SecurityHeadersOptions } from "./options.js";
export type { Allowlist } from "./permissions-policy.js";
export type { ContentSecurityPolicyOptions } from "./policy-options.js";

/** 144 bits, and no padding at the end of the base64. CSP Level 3, section 7.1, asks for 128 at least. */
const NONCE_BYTES = 18;

/**
 * Sets the headers by which browsers protect a site, on every response, and removes `X-Powered-By`.
 *
 * Goes before everything that answers: after `requestContext` and `requestLog`, before `cors`, auth and the router. The
 * headers are set when the request arrives, so a handler's own `setHeader`, `removeHeader` and `writeHead` win.
 * `Strict-Transport-Security` and `upgrade-insecure-requests` are sent over TLS only (except with the preset
 * `"helmet"`), which is `req.secure` and follows Express's `trust proxy`. A second one, on a route, changes only what
 * its options name.
 *
 * @example
 * app.use(securityHeaders());
 *
 * @example
 * // A page with an inline script, and images from elsewhere:
 * app.get(
 *   "/",
 *   securityHeaders({
 *     preset: "page",
 *     contentSecurityPolicy: { directives: { imgSrc: ["'self'", "https://images.example"] } },
 *   }),
 *   (req, res) => res.send(`<script nonce="${res.locals.cspNonce}">start()</script>`),
 * );
 *
 * @throws {ConfigError} names all problems of the options at once
 * @see docs/security-headers.md
 * @see {@link https://www.w3.org/TR/CSP3/ | Content Security Policy Level 3}; RFC 6797 section 7.2 (HSTS over TLS only)
 */
export function securityHeaders(options?: SecurityHeadersOptions): Handler {
  const checked = checkOptions(options);
  const { override } = checked;
  const planAsFirst = firstPlan(checked);
  const planAsLater = laterPlan(checked);

  return describeHandler(
    function securityHeaders(req, res, next) {
      adopt(req, res);
      if (res.headersSent) return next(); // too late for any header
      const earlierState = sharedStateOf(res);
      const shared = earlierState ?? startSharedState(res);
      const plan = earlierState === undefined ? planAsFirst : planAsLater;
      if (earlierState === undefined) res.removeHeader("x-powered-by"); // a lower-case name saves Node a copy

      const secure = isSecure(req, plan.hstsOverTls);
      const pairs = secure ? plan.tls : plan.plain;
      if (override) {
        for (let i = 0; i < pairs.length; i += 2) res.setHeader(pairs[i]!, pairs[i + 1]!);
        for (const header of secure ? plan.remove : plan.removePlain) res.removeHeader(header);
      } else {
        setMissing(res, pairs);
      }
      if (plan.noncePolicy !== undefined) setNonce(res, shared, plan.noncePolicy, secure, override);
      noteForHead(res, shared, plan);
      next();
    },
    { concern: "securityHeaders", plain: options === undefined },
  );
}

/**
 * Same as Express's `req.secure`, which is read only if there is an `X-Forwarded-Proto`, because it looks up the
 * trusted proxies each time. Outside Express no proxy is trusted.
 */
function isSecure(req: IncomingMessage & { readonly secure?: boolean }, hstsOverTls: boolean): boolean {
  const { headers } = req as Partial<IncomingMessage>; // a mock request in a test may have none
  const forwarded = headers?.["x-forwarded-proto"];
  const encrypted = (req.socket as TLSSocket | null | undefined)?.encrypted === true;
  if (forwarded === undefined) return encrypted;
  const secure = req.secure ?? encrypted;
  if (!secure && hstsOverTls) warnOfUntrusted(forwarded, req.secure !== undefined);
  return secure;
}

/** Express uses the first value if it trusts the peer; here it did not, because the request is not secure. */
function warnOfUntrusted(forwarded: string | string[], inExpress: boolean): void {
  if (!/^[ \t]*https[ \t]*(?:,|$)/.test(String(forwarded))) return;
  const trust = inExpress
    ? 'tell Express which proxy it may believe (app.set("trust proxy", …)), or'
    : "outside Express no proxy is trusted:";
  warnOnce(
    "PORTICO_HSTS_NOT_SENT",
    "securityHeaders: a request says X-Forwarded-Proto: https, and its peer is not a trusted proxy, so that " +
      `Strict-Transport-Security and upgrade-insecure-requests are not sent. If that peer is your TLS proxy, ${trust} ` +
      "let the proxy send the header and write strictTransportSecurity: false. See docs/security-headers.md.",
  );
}

function setMissing(res: ServerResponse, pairs: Pairs): void {
  for (let i = 0; i < pairs.length; i += 2) {
    if (!res.hasHeader(pairs[i]!)) res.setHeader(pairs[i]!, pairs[i + 1]!);
  }
}

/** All instances on one response share one nonce, so the enforced and the report-only policy allow the same scripts. */
function setNonce(
  res: ServerResponse & { locals?: Record<string, unknown> },
  shared: SharedState,
  { header, plain, tls }: Policy,
  secure: boolean,
  override: boolean,
): void {
  if (!override && res.hasHeader(header)) return;
  shared.nonce ??= randomText(NONCE_BYTES, "base64");
  res.locals ??= {};
  res.locals.cspNonce = shared.nonce;
  res.setHeader(header, fillNonce(secure ? tls : plain, shared.nonce));
}

function noteForHead(
  res: ServerResponse,
  shared: SharedState,
  { errorPolicy, cacheControl }: HeaderPlan,
): void {
  if (errorPolicy !== undefined) shared.errorPolicy = errorPolicy;
  if (cacheControl !== undefined) shared.cacheControl = cacheControl;
  if (shared.hooked) return;
  shared.hooked = true;
  beforeHead(res, finishHead, shared);
}

/** What the instances of `securityHeaders` on one response want; read when its head is written. */
interface SharedState {
  /** Replaces the policy of Express's own error pages. */
  errorPolicy: string | null;
  /** Used if the handler sets no `Cache-Control`. */
  cacheControl: string | null;
  nonce: string | undefined;
  hooked: boolean;
}

const SHARED_STATE: unique symbol = Symbol.for("express-portico/1.security-headers") as never;
type WithSharedState = ServerResponse & { [SHARED_STATE]?: SharedState };

function sharedStateOf(res: ServerResponse): SharedState | undefined {
  return (res as WithSharedState)[SHARED_STATE];
}

function startSharedState(res: ServerResponse): SharedState {
  const shared: SharedState = { errorPolicy: null, cacheControl: null, nonce: undefined, hooked: false };
  (res as WithSharedState)[SHARED_STATE] = shared;
  return shared;
}

const POLICY = "Content-Security-Policy";
const REPORT_ONLY = "Content-Security-Policy-Report-Only";

/** Sets the headers that depend on the handler's own headers. */
function finishHead(res: ServerResponse, shared: SharedState): void {
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
 * A page with a nonce belongs to one response. A policy with a new nonce on a 304 would replace the stored policy of
 * the page with the old nonce (RFC 9111 section 4.3.4), so a 304 carries none.
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
