import type { IncomingMessage } from "node:http";
import { pathOf } from "../http/target.js";
import { describeThrown } from "../values/thrown.js";

/**
 * A message and its fields as a person reads them: one line, and below it the stack of an error, if there is one.
 * Nothing in it can end the line, move a terminal's cursor or colour its text: it can hold what a client sent.
 */
export function readable(fields: object, message: string): string {
  const { error } = fields as { error?: { stack?: unknown } };
  const stack = typeof error?.stack === "string" ? error.stack : undefined;
  let line = message;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || (name === "error" && stack !== undefined)) continue; // the stack begins with it
    line += pairs(name, value);
  }
  const head = visible(line).replaceAll("\n", " ");
  return stack === undefined ? head : `${head}\n${visible(stack).replace(/^/gm, "  ")}`;
}

/** ` name=value`; an object's members each by its path. */
function pairs(name: string, value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return ` ${name}=${textOf(value)}`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return members.map(([key, member]) => ` ${name}.${key}=${textOf(member)}`).join("");
}

/** Quotes only where the value would not be one word. */
function textOf(value: unknown): string {
  if (typeof value === "string" && /^[^\s"=]+$/.test(value)) return value;
  return JSON.stringify(value) ?? String(value);
}

/** What could end a line or turn its text, as JSON escapes it; line feeds stay. */
export function visible(text: string): string {
  return text.replace(CONTROLS, (character) => (character === "\n" ? character : unicodeEscape(character)));
}

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

const MAX_PATH = 256;
const MAX_MESSAGE = 512;

/** `request failed: GET /orders/7: no such luck`: one line, which says what a log that shows only messages must say. */
export function failureMessage(what: string, req: IncomingMessage, error: unknown): string {
  return `${what}: ${inLine(req.method ?? "", MAX_PATH)} ${inLine(pathOf(req), MAX_PATH)}: ${errorInLine(error)}`;
}

/** The error's own message, else its type, fit to stand within a line. */
export function errorInLine(error: unknown): string {
  const { type, message } = describeThrown(error);
  return inLine(message === "" ? type : message);
}

/** A text within a line: bounded, and without what could end the line. */
export function inLine(text: string, most = MAX_MESSAGE): string {
  const escaped = text.slice(0, most).replace(CONTROLS, escapeControl);
  return text.length > most ? `${escaped}\u2026` : escaped;
}

function escapeControl(character: string): string {
  return character === "\n" ? "\\n" : unicodeEscape(character);
}
