import { CONTROL_CLASS, CONTROLS, unicodeEscape } from "../lib/log/text.js";

const CONTROLS_AND_QUOTES = new RegExp(`[${CONTROL_CLASS}"\\\\]`, "g");
const NEEDS_ESCAPE = new RegExp(`[${CONTROL_CLASS}"\\\\]`);
const WORD_NEEDS_ESCAPE = new RegExp(`[${CONTROL_CLASS}"\\\\\\s]`);
/** JSON also escapes lone surrogates. */
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

/** Escapes a value for a line of text: it cannot end the line or the quotes around it. */
export function escapeValue(text: string): string {
  return NEEDS_ESCAPE.test(text) ? text.replace(CONTROLS_AND_QUOTES, escapeCharacter) : text;
}

/** Escapes a value of a field that has no quotes and ends at a space. */
export function escapeWord(text: string): string {
  return WORD_NEEDS_ESCAPE.test(text) ? escapeValue(text).replace(/\s/g, escapeCharacter) : text;
}

/** Escapes the control characters of a complete line; its quotes stay. */
export function escapeLine(line: string): string {
  return line.replace(CONTROLS, escapeCharacter);
}

/** A JSON string with its quotes; control characters that JSON allows are escaped too. */
export function jsonString(text: string): string {
  return NEEDS_JSON.test(text) ? escapeLine(JSON.stringify(text)) : `"${text}"`;
}

const MAX_LENGTH = 1_024;

/** Limits the length of a value that a client sent. */
export function shorten(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}\u2026` : text;
}

function escapeCharacter(character: string): string {
  return SHORT[character] ?? unicodeEscape(character);
}
