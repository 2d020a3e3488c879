import type { HeaderList } from "../../lib/response/snapshot.js";
import { Directives, parseDirectives } from "./directives.js";
import { fieldOf } from "./fields.js";
import { type Member, parseDictionary } from "./structured.js";

/** The targeted fields for this cache, in order of precedence (RFC 9213 section 2.2). */
export const TARGETS: readonly string[] = ["cdn-cache-control"];

/**
 * The directives of the first targeted field that is a valid dictionary with a member. Undefined if there is none: then
 * Cache-Control and Expires count. `targets` in lower case.
 */
export function targetedDirectives(headers: HeaderList, targets: readonly string[]): Directives | undefined {
  for (const target of targets) {
    const value = fieldOf(headers, target);
    const members = value === undefined ? undefined : parseDictionary(value);
    if (members === undefined || members.size === 0 || isOfWrongType(members)) continue;
    const directives = new Directives();
    for (const [name, item] of members) {
      if (item === false) continue;
      if (item === undefined || item === true) directives.add(name, item, false);
      else directives.add(name, LIFETIMES.has(name) && item.isString ? undefined : item.text, item.isString);
    }
    return directives;
  }
  return undefined;
}

/** Directives with an integer as their value (RFC 9213 section 2.1). */
const LIFETIMES: ReadonlySet<string> = new Set([
  ...["max-age", "s-maxage", "stale-if-error", "stale-while-revalidate"],
]);

/**
 * Whether a lifetime is not a number (`max-age="60"`). Then the whole field is ignored, unless it has a restriction.
 */
function isOfWrongType(members: ReadonlyMap<string, Member>): boolean {
  for (const name of ["no-store", "private", "no-cache"]) {
    if (members.has(name) && members.get(name) !== false) return false;
  }
  for (const [name, item] of members) {
    if (
      LIFETIMES.has(name) &&
      typeof item !== "boolean" &&
      !NUMBER.test(item?.isString ? "" : (item?.text ?? ""))
    )
      return true;
  }
  return false;
}

const NUMBER = /^-?[\d.]+$/;

/** The directives for this cache: those of a targeted field, or else of Cache-Control. */
export function directivesOf(headers: HeaderList): { directives: Directives; targeted: boolean } {
  const targeted = targetedDirectives(headers, TARGETS);
  return targeted === undefined
    ? { directives: parseDirectives(fieldOf(headers, "cache-control")), targeted: false }
    : { directives: targeted, targeted: true };
}
