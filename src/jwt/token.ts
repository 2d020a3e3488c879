import { isAscii, isUtf8 } from "node:buffer";

/** A signed token in compact form (RFC 7519, RFC 7515 section 7.1). Only its form has been checked. */
export interface Token {
  readonly text: string;
  readonly header: Members;
  readonly claims: Members;
  /** The JSON text of the claims. */
  readonly written: string;
}

type Members = Readonly<Record<string, unknown>>;

/** As long as all headers together may be in Node by default. */
const MAX_LENGTH = 16_384;
const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/;

/** Undefined if the text is no signed token; it may be a token in another format. */
export function readToken(text: string): Token | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [, first, second, third] = COMPACT.exec(text) ?? [];
  if (!isCanonical(first) || !isCanonical(second) || !isCanonical(third)) return undefined;
  const header = headerOf(first);
  if (header === undefined) return undefined;
  const written = textOf(second);
  const claims = objectOf(written);
  return claims === undefined ? undefined : { text, header, claims, written: written! };
}

const MAX_HEADERS = 100;
const MAX_HEADER_LENGTH = 256;
/** Parsed headers: the tokens of an issuer share their header. */
const headers = new Map<string, Members>();

function headerOf(part: string): Members | undefined {
  const known = headers.get(part);
  if (known !== undefined) return known;
  const written = textOf(part);
  const header = objectOf(written);
  if (header === undefined || hasDuplicates(written!)) return undefined;
  if (part.length <= MAX_HEADER_LENGTH) {
    if (headers.size === MAX_HEADERS) headers.clear();
    headers.set(Buffer.from(part).toString(), header); // a copy: a slice would keep the whole token in memory
  }
  return header;
}

/** Whether it is canonical base64url: the unused bits of the last character are 0 (RFC 4648, section 3.5). */
function isCanonical(part: string | undefined): part is string {
  if (part === undefined) return false;
  const last = part.at(-1)!;
  const rest = part.length % 4;
  return (
    rest === 0 || (rest === 2 && "AQgw".includes(last)) || (rest === 3 && "AEIMQUYcgkosw048".includes(last))
  );
}

/** Decodes a part; undefined if it is not UTF-8 (RFC 8725, section 3.7). */
function textOf(part: string): string | undefined {
  const bytes = Buffer.from(part, "base64url");
  // Most tokens are ASCII, for which latin1 takes a fifth of the time.
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

/** Whether an object in the claims has a member twice. This takes as long as parsing them. */
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
 * Whether an object in a valid JSON text has two members with one name: some parsers take the first, others the last.
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

/** The index of the quote that ends the string. */
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

/** Whether the string is a member's name: only names are followed by a colon. */
function isName(text: string, end: number): boolean {
  let i = end + 1;
  while (text.charCodeAt(i) <= 0x20) i++;
  return text.charCodeAt(i) === COLON;
}

/** Resolves escapes: one name can be written in many ways. */
function nameOf(written: string): string {
  return written.includes("\\") ? (JSON.parse(`"${written}"`) as string) : written;
}
