import type { HeaderList } from "../../http/response-snapshot.js";
import { Directives, parseDirectives } from "./directives.js";
import { fieldOf } from "./fields.js";
import { parseDictionary } from "./structured.js";

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
    if (members === undefined || members.size === 0) continue;
    const directives = new Directives();
    for (const [name, item] of members) {
      if (item === false) continue;
      if (item === undefined || item === true) directives.add(name, item, false);
      else directives.add(name, item.text, item.isString);
    }
    return directives;
  }
  return undefined;
}

/** What counts for this cache: a targeted field, or else Cache-Control. */
export function directivesOf(headers: HeaderList): { directives: Directives; targeted: boolean } {
  const targeted = targetedDirectives(headers, TARGETS);
  return targeted === undefined
    ? { directives: parseDirectives(fieldOf(headers, "cache-control")), targeted: false }
    : { directives: targeted, targeted: true };
}
