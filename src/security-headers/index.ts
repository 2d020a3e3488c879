import type { RequestHandler } from "express";
import { Checker } from "../config/check.js";

export interface SecurityHeadersOptions {
  readonly preset?: "common" | "page" | "api" | undefined;
  readonly contentSecurityPolicy?:
    | false
    | { readonly nonce?: boolean; readonly directives?: Record<string, readonly string[]> }
    | undefined;
}
const PAIRS: readonly [string, string][] = [
  [
    "Content-Security-Policy",
    "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  ],
  ["Referrer-Policy", "origin-when-cross-origin"],
  ["X-Content-Type-Options", "nosniff"],
  ["X-Frame-Options", "deny"],
  ["X-XSS-Protection", "0"],
];

export function securityHeaders(options?: SecurityHeadersOptions): RequestHandler {
  const checker = Checker.of("securityHeaders()", options, ["preset", "contentSecurityPolicy"]);
  checker.oneOf("preset", ["common", "page", "api"], "common");
  checker.done();
  return function securityHeaders(_req, res, next) {
    for (const [name, value] of PAIRS) res.setHeader(name, value);
    res.removeHeader("X-Powered-By");
    next();
  };
}
