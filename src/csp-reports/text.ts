/** What could end a line, move a terminal's cursor, turn the direction of its text, or hide within it. */
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Shows each control character as an escape, so that text of a stranger stays on its line. */
export function visible(text: string): string {
  return text.replace(UNSAFE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * A copy of at most `length` characters, with an ellipsis where there were more; no pair of surrogates is cut in two. A
 * copy, for a part of a string keeps the whole of it in memory: whoever stores ten words would store a stranger's 64 kB.
 */
export function cut(text: string, length: number): string {
  if (text.length <= length) return copy(text);
  const last = text.charCodeAt(length - 1);
  const isHalf = last >= 0xd800 && last <= 0xdbff;
  return copy(`${text.slice(0, isHalf ? length - 1 : length)}\u2026`);
}

function copy(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}
