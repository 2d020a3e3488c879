import type { ServerResponse } from "node:http";

/**
 * Adds field names to the response's Vary (RFC 9110 section 12.5.5), none of them twice. `fields` is a list of names
 * ("Origin, Access-Control-Request-Method"). A Vary of `*` includes all names.
 */
export function addVary(res: ServerResponse, fields: string): void {
  const present = res.getHeader("vary");
  if (present === undefined) res.setHeader("Vary", fields);
  else {
    const before = typeof present === "string" ? present : String(present);
    const merged = mergeVary(before, fields);
    if (merged !== before) res.setHeader("Vary", merged);
  }
}

/** `addVary` for plain values. */
export function mergeVary(present: string, fields: string): string {
  if (present === fields) return present;
  const names = new Set(elements(present.toLowerCase()));
  if (names.has("*")) return present;
  const missing: string[] = [];
  for (const field of elements(fields)) {
    if (field === "*") return "*";
    const name = field.toLowerCase();
    if (!names.has(name)) {
      names.add(name);
      missing.push(field);
    }
  }
  if (missing.length === 0) return present;
  return present === "" ? missing.join(", ") : `${present}, ${missing.join(", ")}`;
}

function elements(list: string): string[] {
  return list
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}
