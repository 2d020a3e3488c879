import { CONTROL_CLASS, unicodeEscape } from "../lib/log/text.js";

/** Control characters, and invisible characters that could hide something. */
const UNSAFE = new RegExp(`[${CONTROL_CLASS}\\u200b-\\u200d\\u2060-\\u2065\\ufeff]`, "g");

/** Replaces control characters by escapes, so that a text from outside cannot break a log line. */
export function visible(text: string): string {
  return text.replace(UNSAFE, unicodeEscape);
}

/**
 * A copy of at most `length` characters, with an ellipsis if there were more; surrogate pairs are not split. It is a copy
 * because a slice would keep the whole request body in memory.
 */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return copy(text);
  const last = text.charCodeAt(length - 1);
  const isHalf = last >= 0xd800 && last <= 0xdbff;
  return copy(`${text.slice(0, isHalf ? length - 1 : length)}\u2026`);
}

function copy(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}
