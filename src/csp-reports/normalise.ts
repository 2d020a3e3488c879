import { withoutFragment, withoutUserinfo } from "../lib/http/target.js";

/** One report of a browser. The keys are always the same, in this order; unknown values are undefined. */
export interface ViolationReport {
  /** `csp-violation` in all formats; `deprecation`, `crash`, ... for other reports. */
  readonly type: string;
  /** The page. All URLs are without credentials and fragment, but with their query. */
  readonly documentUrl: string | undefined;
  readonly referrer: string | undefined;
  /** What was blocked: a URL, a scheme (`data`), or `inline`, `eval`, `wasm-eval`, `trusted-types-sink`, ... */
  readonly blockedUrl: string | undefined;
  readonly effectiveDirective: string | undefined;
  readonly originalPolicy: string | undefined;
  /** `report` if the policy was report-only and nothing was blocked. */
  readonly disposition: "enforce" | "report" | undefined;
  /** The status of the page's own response. */
  readonly statusCode: number | undefined;
  /** The beginning of the inline script or style, if the policy has `'report-sample'`. */
  readonly sample: string | undefined;
  readonly sourceFile: string | undefined;
  readonly lineNumber: number | undefined;
  readonly columnNumber: number | undefined;
  /** The browser's message, for types that have one. */
  readonly message: string | undefined;
  /** The browser that sent the report. */
  readonly userAgent: string | undefined;
  /** How long the browser kept the report before sending it. */
  readonly ageMs: number | undefined;
  /** For types other than `csp-violation`: the body of the report, truncated. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const MAX_TEXT = 2_048;
const MAX_POLICY = 8_192;
const MAX_NAME = 128;
const MAX_MEMBERS = 32;
const MAX_DEPTH = 3;

const CSP = "csp-violation";

/**
 * Turns one entry, in any format, into a report; undefined if it is none. Each field is looked up under its names in all
 * formats, because browsers mix them: the early Reporting API had the old names, and Safari has the new ones without an
 * age.
 *
 * @param userAgent of the request, for formats without it
 */
export function normalise(entry: unknown, userAgent?: string): ViolationReport | undefined {
  if (!isFields(entry)) return undefined;
  const legacy = own(entry, "csp-report");
  if (isFields(legacy)) return describe(CSP, legacy, {}, userAgent);
  const type = text([own(entry, "type")], MAX_NAME);
  const body = own(entry, "body");
  if (type === undefined || !(isFields(body) || typeof own(entry, "url") === "string")) return undefined;
  return describe(type === "csp" ? CSP : type, isFields(body) ? body : {}, entry, userAgent);
}

function describe(type: string, body: Fields, outer: Fields, userAgent: string | undefined): ViolationReport {
  const all = (...names: string[]) => names.map((name) => own(body, name));
  return {
    type,
    documentUrl: url([...all("documentURL", "document-uri"), own(outer, "url")]),
    referrer: url(all("referrer")),
    blockedUrl: url(all("blockedURL", "blocked-uri")),
    effectiveDirective: directive(
      all("effectiveDirective", "effective-directive", "violatedDirective", "violated-directive"),
    ),
    originalPolicy: text(all("originalPolicy", "original-policy"), MAX_POLICY),
    disposition: disposition(own(body, "disposition"), own(body, "reportOnly")),
    statusCode: count(all("statusCode", "status-code", "status_code")),
    sample: text(all("sample", "script-sample"), MAX_TEXT),
    sourceFile: url(all("sourceFile", "source-file")),
    lineNumber: count(all("lineNumber", "line-number")),
    columnNumber: count(all("columnNumber", "column-number")),
    message: text(all("message", "reason"), MAX_TEXT),
    userAgent: text([own(outer, "user_agent"), userAgent], MAX_TEXT),
    ageMs: count([own(outer, "age")]),
    body: type === CSP ? undefined : truncated(body),
  };
}

function text(candidates: readonly unknown[], length: number): string | undefined {
  const found = firstText(candidates);
  return found === undefined ? undefined : truncate(found, length);
}

function url(candidates: readonly unknown[]): string | undefined {
  const found = firstText(candidates);
  return found === undefined ? undefined : truncate(stripUrl(found), MAX_TEXT) || undefined;
}

function firstText(candidates: readonly unknown[]): string | undefined {
  return candidates.find((value): value is string => typeof value === "string" && value !== "");
}

/** The directive's name, without its values, which the older `violated-directive` has too. */
function directive(candidates: readonly unknown[]): string | undefined {
  return text(
    candidates.map((value) => (typeof value === "string" ? value.trim().split(/\s/, 1)[0] : undefined)),
    MAX_NAME,
  );
}

/** COOP and COEP reports say "reporting"; those of Integrity-Policy have the member `reportOnly`. */
function disposition(value: unknown, reportOnly: unknown): ViolationReport["disposition"] {
  if (typeof reportOnly === "boolean" && value === undefined) return reportOnly ? "report" : "enforce";
  if (value === "enforce") return value;
  return value === "report" || value === "reporting" ? "report" : undefined;
}

/** Some browsers send numbers as text. */
function count(candidates: readonly unknown[]): number | undefined {
  for (const value of candidates) {
    const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
    if (Number.isSafeInteger(number) && (number as number) >= 0) return number as number;
  }
  return undefined;
}

/** A copy within limits of size and depth, without `__proto__`: anyone can send a report. */
function truncated(fields: Fields, depth = 1): Record<string, unknown> {
  const members = Object.keys(fields)
    .filter((name) => name !== "__proto__")
    .slice(0, MAX_MEMBERS)
    .map((name) => [truncate(name, MAX_NAME), truncatedValue(fields[name], depth)] as const);
  return Object.fromEntries(members);
}

function truncatedValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return truncate(value, MAX_TEXT);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return "\u2026";
  return Array.isArray(value)
    ? value.slice(0, MAX_MEMBERS).map((member) => truncatedValue(member, depth + 1))
    : truncated(value as Fields, depth + 1);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/**
 * A URL as browsers should report it (CSP Level 3 section 5.4, "strip URL for use in reports"): without user name and
 * password, and without the fragment, which may hold a token. Other values ("inline", "data") are returned unchanged.
 */
function stripUrl(url: string): string {
  return withoutUserinfo(withoutFragment(url));
}

/**
 * A copy of at most `length` characters, with an ellipsis if there were more; surrogate pairs are not split. It is a copy
 * because a slice would keep the whole request body in memory.
 */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return copy(text);
  const last = text.charCodeAt(length - 1);
  const isHalf = last >= 0xd800 && last <= 0xdbff;
  return copy(`${text.slice(0, isHalf ? length - 1 : length)}\u2026`);
}

function copy(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}
