import type { HeaderList } from "../../lib/response/snapshot.js";
import { Directives, parseDirectives } from "./directives.js";
import { fieldOf } from "./fields.js";
import { type Member, parseDictionary } from "./structured.js";

/** The targeted fields that are meant for this cache, the first of most weight (RFC 9213 section 2.2). */
export const TARGETS: readonly string[] = ["cdn-cache-control"];

/**
 * The directives of the first of the targeted fields that is there, is a dictionary and has a member. Undefined if
 * none is: then Cache-Control and Expires count. `targets` in lower case.
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

/** Their value is an Integer (RFC 9213 section 2.1). */
const LIFETIMES: ReadonlySet<string> = new Set([
  ...["max-age", "s-maxage", "stale-if-error", "stale-while-revalidate"],
]);

/**
 * Whether a lifetime is something else than a number, as `max-age="60"` is: then the field is taken for none, unless it
 * forbids something.
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

/** What counts for this cache: a targeted field, or else Cache-Control. */
export function directivesOf(headers: HeaderList): { directives: Directives; targeted: boolean } {
  const targeted = targetedDirectives(headers, TARGETS);
  return targeted === undefined
    ? { directives: parseDirectives(fieldOf(headers, "cache-control")), targeted: false }
    : { directives: targeted, targeted: true };
}
