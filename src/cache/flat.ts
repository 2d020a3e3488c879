/** V8 copies shorter strings; longer ones it may keep as a part of another string, and so that one too. */
const LONGEST_COPIED = 12;

/**
 * The same text in memory of its own. A slice keeps alive what it was taken from (a whole request target, a header of
 * many kilobytes), and a concatenation keeps its parts.
 */
export function flat(text: string): string {
  if (text.length <= LONGEST_COPIED) return text;
  const encoding = WIDE.test(text) ? "utf16le" : "latin1";
  return Buffer.from(text, encoding).toString(encoding);
}

/** Names of headers are few, and the same for most answers. */
const names = new Map<string, string>();
const MOST_NAMES = 500;

export function flatName(name: string): string {
  if (name.length <= LONGEST_COPIED) return name;
  const known = names.get(name);
  if (known !== undefined) return known;
  const own = flat(name);
  if (names.size < MOST_NAMES && name.length < 100) names.set(own, own);
  return own;
}

const WIDE = /[^\0-\xff]/;

/** What a flat string takes, in bytes: characters, and what V8 keeps about them. */
export function sizeOf(text: string): number {
  return 24 + (WIDE.test(text) ? 2 : 1) * text.length;
}
