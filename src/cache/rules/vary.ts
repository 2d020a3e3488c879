import type { IncomingHttpHeaders } from "node:http";
import { tokenList } from "../../lib/http/tokens.js";
import type { HeaderList } from "../../lib/response/snapshot.js";
import { fieldOf, linesOf, trimOws } from "./fields.js";

/** Whose values have commas that separate nothing, or white space that means something. */
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

/** Whose values have no case (RFC 9110 sections 12.5.2 to 12.5.4). */
const CASELESS: ReadonlySet<string> = new Set(["accept-charset", "accept-encoding", "accept-language"]);

/**
 * The selecting values of a request (RFC 9111 section 4.1) as one text: equal for two requests only if each of the
 * fields is absent in both, or means the same. `fields` as `varyFieldsOf` gives them.
 */
export function variantOf(headers: IncomingHttpHeaders, fields: string): string {
  if (fields === "") return "";
  let variant = "";
  for (const name of fields.split(",")) {
    const found: unknown = headers[name]; // also what every object has, as "constructor"
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
  // In strings and comments white space is part of the value.
  if (cased.includes('"') || cased.includes("(")) return cased;
  const usual = cased.replaceAll(", ", ",");
  return hasSpace(usual) ? cased.split(",").map(trimOws).join(",") : usual;
}

function hasSpace(value: string): boolean {
  return value.includes(" ") || value.includes("\t");
}

/** More fields of Vary, and no two requests are taken to be alike. */
const MAX_FIELDS = 64;

/**
 * The fields by which a response was chosen: in lower case, sorted, without repeats, joined by ","; "" if there are
 * none, "*" if they cannot be known. Permission for one origin alone is a choice by Origin, whether Vary says so or
 * not.
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
