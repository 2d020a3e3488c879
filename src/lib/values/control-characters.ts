/**
 * What could end a line, move a terminal's cursor or turn the direction of its text: the C0 and C1 controls, DEL, the
 * line and paragraph separators, the bidirectional controls. As a part of a character class, to add to.
 */
export const CONTROL_CLASS = "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069";
export const CONTROLS = new RegExp(`[${CONTROL_CLASS}]`, "g");

/** A character as JSON escapes it. */
export function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
