import type { Response } from "express";

/**
 * Whether the answer is a page under a policy with a nonce. The nonce stands in the page too, and must be another in
 * every response: such a page cannot be given twice.
 */
export function carriesNonce(res: Pick<Response, "getHeader">): boolean {
  return isPage(res.getHeader("content-type")) && POLICIES.some((name) => hasNonce(res.getHeader(name)));
}

const POLICIES = ["content-security-policy", "content-security-policy-report-only"];

function isPage(type: unknown): boolean {
  return (
    typeof type === "string" && /^\s*(?:text\/html|application\/xhtml\+xml|image\/svg\+xml)\b/i.test(type)
  );
}

function hasNonce(policy: unknown): boolean {
  return policy !== undefined && String(policy).includes("'nonce-");
}
