import { isOws, isToken, trimOws } from "../../lib/http/tokens.js";

/** The directives that this cache knows; others are ignored (RFC 9111 section 5.2.3). */
const NAMES = [
  "max-age",
  "max-stale",
  "min-fresh",
  "must-revalidate",
  "must-understand",
  "no-cache",
  "no-store",
  "only-if-cached",
  "private",
  "proxy-revalidate",
  "public",
  "s-maxage",
  "stale-if-error",
  "stale-while-revalidate",
] as const;

export type DirectiveName = (typeof NAMES)[number];

const KNOWN: ReadonlySet<string> = new Set(NAMES);

const NAMING_FIELDS: ReadonlySet<string> = new Set<DirectiveName>(["no-cache", "private"]);

/** Greater numbers of seconds count as this (RFC 9111 section 1.2.2). */
export const MAX_SECONDS = 2 ** 31;

/** `true`: no argument. `undefined`: an argument that cannot be read. */
export type Argument = string | true | undefined;

/** The cache directives of a message, from Cache-Control, Pragma or a targeted field. */
export class Directives {
  private readonly found = new Map<string, readonly Argument[]>();

  /**
   * Ignores unknown directives, which also bounds the size. Field names must come in a string (RFC 9111 section
   * 5.2.2.4): `no-cache=1` does not mean the field "1".
   */
  add(name: string, given: Argument, isString: boolean): void {
    if (!KNOWN.has(name)) return;
    const argument = given !== true && !isString && NAMING_FIELDS.has(name) ? undefined : given;
    const before = this.found.get(name);
    if (before === undefined) this.found.set(name, [argument]);
    else if (!before.includes(argument)) this.found.set(name, mostRestrictive(before, argument));
  }

  has(name: DirectiveName): boolean {
    return this.found.has(name);
  }

  /** Whether it is present, and never with an argument. */
  isBare(name: DirectiveName): boolean {
    const found = this.found.get(name);
    return found !== undefined && found.length === 1 && found[0] === true;
  }

  /**
   * The argument in seconds; the smallest if there are several. Undefined if the directive is absent or has an argument
   * that is not a non-negative integer (`has` says which).
   */
  seconds(name: DirectiveName): number | undefined {
    const found = this.found.get(name);
    if (found === undefined) return undefined;
    let smallest: number | undefined;
    for (const argument of found) {
      if (typeof argument !== "string" || !/^[0-9]+$/.test(argument)) return undefined;
      smallest = Math.min(smallest ?? MAX_SECONDS, Number(argument));
    }
    return smallest;
  }

  /**
   * The fields that `no-cache="a, b"` or `private="a"` names, in lower case. Undefined if the directive is absent, or
   * appears somewhere without a readable list and so applies to the whole response.
   */
  fields(name: DirectiveName): readonly string[] | undefined {
    const found = this.found.get(name);
    if (found === undefined) return undefined;
    const fields: string[] = [];
    for (const argument of found) {
      if (typeof argument !== "string") return undefined;
      for (const part of argument.split(",")) {
        const field = trimOws(part);
        if (field === "") continue;
        if (!isToken(field)) return undefined;
        fields.push(field.toLowerCase());
      }
    }
    return fields.length === 0 ? undefined : fields;
  }
}

/** More different arguments of one directive count as one that cannot be read. */
const MAX_REPEATS = 16;

function mostRestrictive(before: readonly Argument[], argument: Argument): readonly Argument[] {
  return before.length < MAX_REPEATS ? [...before, argument] : [undefined];
}

const NONE = new Directives();

/**
 * Reads a Cache-Control value (RFC 9111 section 5.2). A directive counts even if its argument cannot be read, so that a
 * restriction with a typing error still restricts. A string without its closing quote may hide restrictions, so it
 * counts as `no-store`. Takes time linear in the value's length.
 */
export function parseDirectives(value: string | undefined): Directives {
  if (value === undefined || value === "") return NONE;
  const directives = new Directives();
  let at = 0;
  while (at < value.length) {
    const code = value.charCodeAt(at);
    if (code === COMMA || isOws(code)) {
      at++;
      continue;
    }
    const nameEnd = tokenEnd(value, at);
    const name = value.slice(at, nameEnd).toLowerCase();
    const [argument, end] = readArgument(value, nameEnd);
    directives.add(name, argument, value.charCodeAt(nameEnd + 1) === QUOTE);
    const next = nextComma(value, end);
    if (next === -1) {
      directives.add("no-store", true, false);
      break;
    }
    // Other text between the argument and the comma makes the argument unreadable.
    if (!isBlank(value, end, next)) directives.add(name, undefined, false);
    at = next + 1;
  }
  return directives;
}

const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function readArgument(value: string, at: number): [argument: Argument, end: number] {
  if (value[at] !== "=") return [true, at];
  const start = at + 1;
  if (value.charCodeAt(start) === QUOTE) {
    const end = stringEnd(value, start);
    // If the string has no end, `nextComma` reports that.
    return end === -1 ? [undefined, start] : [value.slice(start + 1, end - 1).replace(/\\(.)/gs, "$1"), end];
  }
  const end = tokenEnd(value, start);
  return [end === start ? undefined : value.slice(start, end), end];
}

/** The position of the next comma, or the end of the value; -1 if a string has no end. */
function nextComma(value: string, from: number): number {
  let at = from;
  while (at < value.length) {
    const code = value.charCodeAt(at);
    if (code === COMMA) return at;
    if (code === QUOTE) {
      at = stringEnd(value, at);
      if (at === -1) return -1;
    } else at++;
  }
  return at;
}

/** The position after the closing quote of the string that begins at `start`; -1 if there is none. */
function stringEnd(value: string, start: number): number {
  for (let at = start + 1; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) at++;
  }
  return -1;
}

function tokenEnd(value: string, start: number): number {
  let at = start;
  while (at < value.length && TOKEN_CODES[value.charCodeAt(at)] === true) at++;
  return at;
}

function isBlank(value: string, start: number, end: number): boolean {
  let at = start;
  while (at < end && isOws(value.charCodeAt(at))) at++;
  return at === end;
}

/** RFC 9110 section 5.6.2. */
const TOKEN_CODES = Array.from({ length: 128 }, (_, code) => isToken(String.fromCharCode(code)));
