import type { IncomingHttpHeaders } from "node:http";
import { tokenList } from "../../lib/http/tokens.js";
import type { HeaderList } from "../../lib/response/snapshot.js";
import { fieldOf, linesOf, trimOws } from "./fields.js";

/** Fields in which a comma does not separate, or white space has a meaning. */
const PLAIN: ReadonlySet<string> = new Set([
  ...[
    "authorization",
    "cookie",
    "date",
    "from",
    "host",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
  ],
  ...["origin", "proxy-authorization", "referer", "user-agent"],
]);

/** Fields with values that are compared without case (RFC 9110 sections 12.5.2 to 12.5.4). */
const CASELESS: ReadonlySet<string> = new Set(["accept-charset", "accept-encoding", "accept-language"]);

/**
 * The request's values of the Vary fields as one text (RFC 9111 section 4.1). Equal for two requests only if each field
 * is absent in both, or means the same in both. `fields` as `varyFieldsOf` returns them.
 */
export function variantOf(headers: IncomingHttpHeaders, fields: string): string {
  if (fields === "") return "";
  let variant = "";
  for (const name of fields.split(",")) {
    const found: unknown = headers[name]; // for a field named "constructor", a function
    const value = Array.isArray(found) ? found.join(",") : found;
    if (typeof value !== "string") {
      variant += "-";
      continue;
    }
    const normal = normalise(name, value);
    variant += `${normal.length}:${normal}`;
  }
  return variant;
}

function normalise(name: string, value: string): string {
  const cased = CASELESS.has(name) ? value.toLowerCase() : value;
  if (!hasSpace(cased) || PLAIN.has(name)) return cased;
  // White space is part of strings and comments.
  if (cased.includes('"') || cased.includes("(")) return cased;
  const usual = cased.replaceAll(", ", ",");
  return hasSpace(usual) ? cased.split(",").map(trimOws).join(",") : usual;
}

function hasSpace(value: string): boolean {
  return value.includes(" ") || value.includes("\t");
}

/** A Vary with more fields counts as "*". */
const MAX_FIELDS = 64;

/**
 * The Vary fields of a response: in lower case, sorted, without repeats, joined by ","; "" if there are none, "*" if
 * they cannot be known. A response that allows one origin varies by Origin, even if Vary does not say so.
 */
export function varyFieldsOf(headers: HeaderList): string {
  const lines = linesOf(headers, "vary");
  const allowed = fieldOf(headers, "access-control-allow-origin");
  const byOrigin = allowed !== undefined && allowed !== "*";
  if (lines.length === 0) return byOrigin ? "origin" : "";
  const fields = tokenList(lines.join(","), { elements: MAX_FIELDS, empty: MAX_FIELDS });
  if (fields === undefined || fields.includes("*")) return "*";
  const names = new Set(fields.map((field) => field.toLowerCase()));
  if (byOrigin) names.add("origin");
  return [...names].sort().join(",");
}
