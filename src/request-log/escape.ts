import { CONTROL_CLASS, CONTROLS, unicodeEscape } from "../lib/log/text.js";

const CONTROLS_AND_QUOTES = new RegExp(`[${CONTROL_CLASS}"\\\\]`, "g");
const NEEDS_ESCAPE = new RegExp(`[${CONTROL_CLASS}"\\\\]`);
/** Beyond these, JSON also escapes lone surrogates. */
const NEEDS_JSON = new RegExp(`[${CONTROL_CLASS}"\\\\\\ud800-\\udfff]`);

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
  return SHORT[character] ?? unicodeEscape(character);
}
