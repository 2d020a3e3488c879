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
  if (header === undefined || hasDuplicates(written!, header)) return undefined;
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

/** Whether the claims say one thing twice. With many members, that costs more than to parse them. */
export function isAmbiguous({ claims, written }: Token): boolean {
  return hasDuplicates(written, claims);
}

/**
 * Whether some object in a JSON text has two members of one name, of which parsers take the first, or the last: then it
 * has more members than what came out of it. The text must be valid.
 */
export function hasDuplicates(text: string, value: unknown): boolean {
  return membersWritten(text) !== membersOf(value);
}

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** Outside of strings, a colon stands in each member, and nowhere else. */
function membersWritten(text: string): number {
  let count = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) inString = !inString;
    else if (code === BACKSLASH) i++;
    else if (code === COLON && !inString) count++;
  }
  return count;
}

function membersOf(value: unknown): number {
  let count = 0;
  const left = [value]; // not by calling itself: a client decides how deep this goes
  while (left.length > 0) {
    const next = left.pop();
    if (typeof next !== "object" || next === null) continue;
    const values = Object.values(next);
    if (!Array.isArray(next)) count += values.length;
    for (const inner of values) if (typeof inner === "object") left.push(inner);
  }
  return count;
}
