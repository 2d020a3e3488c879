import { isAscii, isUtf8 } from "node:buffer";

/** A signed token as it was sent (RFC 7519, RFC 7515 section 7.1), with nothing checked but its form. */
export interface Token {
  readonly text: string;
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** More than any header that Node accepts by default. */
const MAX_LENGTH = 16_384;
const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/;

/** Undefined if this is no signed token: it may be one that only its issuer can read. */
export function readToken(text: string): Token | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const parts = COMPACT.exec(text);
  if (parts === null) return undefined;
  const header = objectOf(parts[1]!);
  const claims = objectOf(parts[2]!);
  if (header === undefined || claims === undefined || !isCanonical(parts[3]!)) return undefined;
  return { text, header, claims };
}

/** Of what the last digit says, some bits may be none of a byte's: else one token would have many spellings. */
function isCanonical(part: string): boolean {
  const spare = part.length % 4;
  return (
    spare === 0 || (spare === 2 && /[AQgw]$/.test(part)) || (spare === 3 && /[AEIMQUYcgkosw048]$/.test(part))
  );
}

/** The object that is written in a part; undefined if it is no object, or says one thing twice. */
function objectOf(part: string): Record<string, unknown> | undefined {
  const text = textOf(part);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return hasDuplicates(text, value) ? undefined : (value as Record<string, unknown>);
}

/** The text of a part; undefined if it is not UTF-8 (RFC 8725, section 3.7). */
function textOf(part: string): string | undefined {
  const bytes = Buffer.from(part, "base64url");
  // Most tokens say nothing in other letters, and then this costs a fifth.
  if (isAscii(bytes)) return bytes.toString("latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
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
