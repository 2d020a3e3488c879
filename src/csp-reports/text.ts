import { CONTROL_CLASS, unicodeEscape } from "../lib/log/text.js";

/** Also what could hide within it. */
const UNSAFE = new RegExp(`[${CONTROL_CLASS}\\u200b-\\u200d\\u2060-\\u2065\\ufeff]`, "g");

/** Shows each control character as an escape, so that text of a stranger stays on its line. */
export function visible(text: string): string {
  return text.replace(UNSAFE, unicodeEscape);
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
