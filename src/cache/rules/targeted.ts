import type { HeaderList } from "../../lib/response/snapshot.js";
import { Directives, parseDirectives } from "./directives.js";
import { fieldOf } from "./fields.js";

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
      !NUMBER_TEXT.test(item?.isString ? "" : (item?.text ?? ""))
    )
      return true;
  }
  return false;
}

const NUMBER_TEXT = /^-?[\d.]+$/;

/** The directives for this cache: those of a targeted field, or else of Cache-Control. */
export function directivesOf(headers: HeaderList): { directives: Directives; targeted: boolean } {
  const targeted = targetedDirectives(headers, TARGETS);
  return targeted === undefined
    ? { directives: parseDirectives(fieldOf(headers, "cache-control")), targeted: false }
    : { directives: targeted, targeted: true };
}

/**
 * The value of a dictionary member: a boolean, the text of a number, string or token, or undefined for a type that no
 * cache directive has.
 */
export type Member = boolean | { readonly text: string; readonly isString: boolean } | undefined;

const KEY = /[a-z*][a-z0-9_\-.*]*/y;
const NUMBER = /-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])/y;
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const TOKEN = /[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y;
const BYTES = /:[A-Za-z0-9+/]*={0,2}:/y;
const BOOLEAN = /\?[01]/y;

/** Reads a dictionary (RFC 8941 section 4.2.2); undefined if there is any error in it. */
export function parseDictionary(value: string): ReadonlyMap<string, Member> | undefined {
  return new Parser(value).dictionary();
}

class Parser {
  private at = 0;

  constructor(private readonly text: string) {}

  dictionary(): ReadonlyMap<string, Member> | undefined {
    const members = new Map<string, Member>();
    this.skip(" ");
    while (this.at < this.text.length) {
      const key = this.take(KEY);
      if (key === undefined) return undefined;
      const member = this.takes("=") ? this.member() : true;
      if (member === FAULT || !this.parameters()) return undefined;
      members.delete(key);
      members.set(key, member); // of two members with one key the last counts
      this.skip(" \t");
      if (this.at === this.text.length) return members;
      if (!this.takes(",")) return undefined;
      this.skip(" \t");
      if (this.at === this.text.length) return undefined;
    }
    return members;
  }

  private member(): Member | typeof FAULT {
    return this.takes("(") ? this.innerList() : this.bareItem();
  }

  private innerList(): undefined | typeof FAULT {
    for (;;) {
      this.skip(" ");
      if (this.takes(")")) return undefined;
      if (this.bareItem() === FAULT || !this.parameters()) return FAULT;
      const next = this.text[this.at];
      if (next !== " " && next !== ")") return FAULT;
    }
  }

  private parameters(): boolean {
    while (this.takes(";")) {
      this.skip(" ");
      if (this.take(KEY) === undefined) return false;
      if (this.takes("=") && this.bareItem() === FAULT) return false;
    }
    return true;
  }

  private bareItem(): Member | typeof FAULT {
    const boolean = this.take(BOOLEAN);
    if (boolean !== undefined) return boolean === "?1";
    const string = this.take(STRING);
    if (string !== undefined) return { text: string.slice(1, -1).replace(/\\(.)/g, "$1"), isString: true };
    const plain = this.take(NUMBER) ?? this.take(TOKEN);
    if (plain !== undefined) return { text: plain, isString: false };
    return this.take(BYTES) === undefined ? FAULT : undefined;
  }

  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  private takes(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private skip(chars: string): void {
    while (this.at < this.text.length && chars.includes(this.text[this.at]!)) this.at++;
  }
}

const FAULT = Symbol("fault");
