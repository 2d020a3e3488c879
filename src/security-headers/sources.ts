import { didYouMean } from "../lib/config/did-you-mean.js";

/** CSP Level 3, section 2.3.1: the keywords, which are written in single quotes. */
const KEYWORDS = [
  "self",
  "none",
  "unsafe-inline",
  "unsafe-eval",
  "wasm-unsafe-eval",
  "strict-dynamic",
  "unsafe-hashes",
  "report-sample",
  "report-sha256",
  "report-sha384",
  "report-sha512",
  "inline-speculation-rules",
  "trusted-types-eval",
  "unsafe-webtransport-hashes",
];
const HASH = /^'sha(?:256|384|512)-[A-Za-z0-9+/_-]+={0,2}'$/;
const SCHEME = /^[a-z][a-z0-9+.-]*:$/i;
const SCHEMES_LIKELY = new Set(["https", "http", "data", "blob", "ws", "wss", "mediastream", "filesystem"]);
const HOST =
  /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::(?:[0-9]{1,5}|\*))?(?:\/[^\s?#;,'"\\<>]*)?$/i;

/** The problem of a source expression, or undefined. */
export function sourceProblem(source: string): string | undefined {
  if (source.startsWith("'") || source.endsWith("'")) return quotedProblem(source);
  const lower = source.toLowerCase();
  if (KEYWORDS.includes(lower) || /^(?:nonce|sha256|sha384|sha512)-/.test(lower)) {
    return `has ${source} without its single quotes; write "'${source}'"`;
  }
  if (SCHEMES_LIKELY.has(lower)) return `has ${source}, which is taken for a host; write "${source}:"`;
  if (SCHEME.test(source) || HOST.test(source)) return undefined;
  return `has ${quoteJson(source)}, which is not a source; write an origin such as https://cdn.example, a scheme such as https:, or a keyword in single quotes such as 'self'`;
}

function quotedProblem(source: string): string | undefined {
  if (HASH.test(source)) return undefined;
  const word = source.replace(/^'|'$/g, "");
  if (KEYWORDS.includes(word) && source === `'${word}'`) return undefined;
  if (/^nonce-/i.test(word)) {
    return `has a nonce that would be the same for every response, which protects nothing; use contentSecurityPolicy.nonce: true`;
  }
  const meant = didYouMean(word, KEYWORDS);
  const hint = meant === undefined ? "" : ` Did you mean "'${meant}'"?`;
  return `has ${quoteJson(source)}, which is not a keyword of policies.${hint}`;
}

/** Whether the source is the hash of an inline script or style. */
export function isHash(source: string): boolean {
  return HASH.test(source);
}

function quoteJson(source: string): string {
  return JSON.stringify(source);
}
