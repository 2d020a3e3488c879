import { isAscii, isUtf8 } from "node:buffer";

/** A signed token as it was sent (RFC 7519, RFC 7515 section 7.1), with nothing checked but its form. */
export interface Token {
  readonly text: string;
  readonly header: Members;
  readonly claims: Members;
  /** The claims as they are written. */
  readonly written: string;
}

type Members = Readonly<Record<string, unknown>>;

/** More than any header that Node accepts by default. */
const MAX_LENGTH = 16_384;
const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/;

/** Undefined if this is no signed token: it may be one that only its issuer can read. */
export function readToken(text: string): Token | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [, first, second, third] = COMPACT.exec(text) ?? [];
  if (!isWhole(first) || !isWhole(second) || !isWhole(third)) return undefined;
  const header = headerOf(first);
  if (header === undefined) return undefined;
  const written = textOf(second);
  const claims = objectOf(written);
  return claims === undefined ? undefined : { text, header, claims, written: written! };
}

const MAX_HEADERS = 100;
const MAX_HEADER_LENGTH = 256;
/** An issuer's tokens have their header in common: each is read once. */
const headers = new Map<string, Members>();

function headerOf(part: string): Members | undefined {
  const known = headers.get(part);
  if (known !== undefined) return known;
  const written = textOf(part);
  const header = objectOf(written);
  if (header === undefined || hasDuplicates(written!)) return undefined;
  if (part.length <= MAX_HEADER_LENGTH) {
    if (headers.size === MAX_HEADERS) headers.clear();
    headers.set(Buffer.from(part).toString(), header); // a copy: a part of a text keeps all of it in memory
  }
  return header;
}

/** Bytes as base64url has them: what the last digit says beyond the last byte is 0 (RFC 4648, section 3.5). */
function isWhole(part: string | undefined): part is string {
  if (part === undefined) return false;
  const last = part.at(-1)!;
  const rest = part.length % 4;
  return (
    rest === 0 || (rest === 2 && "AQgw".includes(last)) || (rest === 3 && "AEIMQUYcgkosw048".includes(last))
  );
}

/** The text of a part; undefined if it is not UTF-8 (RFC 8725, section 3.7). */
function textOf(part: string): string | undefined {
  const bytes = Buffer.from(part, "base64url");
  // Most tokens say nothing in other letters, and then this costs a fifth.
  if (isAscii(bytes)) return bytes.toString("latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}

function objectOf(written: string | undefined): Members | undefined {
  if (written === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(written);
  } catch {
    return undefined;
  }
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Members)
    : undefined;
}

/** Whether the claims say one thing twice. That costs as much as to parse them. */
export function isAmbiguous({ written }: Token): boolean {
  return hasDuplicates(written);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const LIST = 0x5b;
const LIST_END = 0x5d;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;

/**
 * Whether some object in a JSON text has two members of one name, of which parsers take the first, or the last. The text
 * must be valid.
 */
export function hasDuplicates(text: string): boolean {
  const outer: Set<string>[] = [];
  let names = new Set<string>();
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const start = i;
      i = endOfString(text, start);
      if (!isName(text, i)) continue;
      const name = nameOf(text.slice(start + 1, i));
      if (names.has(name)) return true;
      names.add(name);
    } else if (code === OBJECT || code === LIST) {
      outer.push(names);
      names = new Set();
    } else if (code === OBJECT_END || code === LIST_END) {
      names = outer.pop()!;
    }
  }
  return false;
}

/** Where the quotes are that end a text. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text.charCodeAt(first - 1) === BACKSLASH) first--;
  return (at - first) % 2 === 1;
}

/** A colon stands behind names only. */
function isName(text: string, end: number): boolean {
  let i = end + 1;
  while (text.charCodeAt(i) <= 0x20) i++;
  return text.charCodeAt(i) === COLON;
}

/** One name can be spelt in many ways. */
function nameOf(written: string): string {
  return written.includes("\\") ? (JSON.parse(`"${written}"`) as string) : written;
}
