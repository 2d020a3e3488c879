/**
 * What could end a line, move a terminal's cursor or turn the direction of its text: the C0 and C1 controls, DEL, the
 * line and paragraph separators, the bidirectional controls.
 */
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const CONTROLS_AND_QUOTES = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"\\]/g;
const NEEDS_ESCAPE = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"\\]/;
/** Beyond these, JSON also escapes lone surrogates. */
const NEEDS_JSON = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"\\\ud800-\udfff]/;

const SHORT: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  '"': '\\"',
  "\\": "\\\\",
};

/** A value for a line of text: it cannot leave its line, nor the quotes around it. */
export function escapeValue(text: string): string {
  return NEEDS_ESCAPE.test(text) ? text.replace(CONTROLS_AND_QUOTES, escapeCharacter) : text;
}

/** A value of a field that has no quotes and ends at a space. */
export function escapeWord(text: string): string {
  return escapeValue(text).replace(/\s/g, escapeCharacter);
}

/** A whole line that somebody else has composed: its quotes are meant, its controls are not. */
export function escapeLine(line: string): string {
  return line.replace(CONTROLS, escapeCharacter);
}

/** A JSON string, quotes included, with the characters escaped that JSON itself would let through. */
export function jsonString(text: string): string {
  return NEEDS_JSON.test(text) ? escapeLine(JSON.stringify(text)) : `"${text}"`;
}

const MAX_LENGTH = 1_024;

/** What a client sends can be long; a line is not. */
export function shorten(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}\u2026` : text;
}

function escapeCharacter(character: string): string {
  return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
