import type { IncomingMessage } from "node:http";
import { pathOf } from "../http/target.js";
import { describeThrown } from "../values/thrown.js";

/**
 * A message and its fields as readable text: one line, and below it the stack of an error, if there is one. Control
 * characters are escaped, as the fields may hold what a client sent.
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

/** ` name=value`; for an object, each member by its path. */
function pairs(name: string, value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return ` ${name}=${textOf(value)}`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return members.map(([key, member]) => ` ${name}.${key}=${textOf(member)}`).join("");
}

/** With quotes only if the value is not one word. */
function textOf(value: unknown): string {
  if (typeof value === "string" && /^[^\s"=]+$/.test(value)) return value;
  return JSON.stringify(value) ?? String(value);
}

/** The text with its control characters escaped, except line feeds. */
export function visible(text: string): string {
  return text.replace(CONTROLS, (character) => (character === "\n" ? character : unicodeEscape(character)));
}

/**
 * Characters that can end a line, move a terminal's cursor or change the direction of its text: the C0 and C1 controls,
 * DEL, the line and paragraph separators, the bidirectional controls. A part of a character class.
 */
export const CONTROL_CLASS = "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069";
export const CONTROLS = new RegExp(`[${CONTROL_CLASS}]`, "g");

/** A character as JSON escapes it. */
export function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

const MAX_PATH = 256;
const MAX_MESSAGE = 512;

/** `request failed: GET /orders/7: no such luck`: one line, complete for a log that shows only messages. */
export function failureMessage(what: string, req: IncomingMessage, error: unknown): string {
  return `${what}: ${inLine(req.method ?? "", MAX_PATH)} ${inLine(pathOf(req), MAX_PATH)}: ${errorInLine(error)}`;
}

/** The error's message, else its type, on one line. */
export function errorInLine(error: unknown): string {
  const { type, message } = describeThrown(error);
  return inLine(message === "" ? type : message);
}

/** A text on one line: truncated, with its control characters escaped. */
export function inLine(text: string, most = MAX_MESSAGE): string {
  const escaped = text.slice(0, most).replace(CONTROLS, escapeControl);
  return text.length > most ? `${escaped}\u2026` : escaped;
}

function escapeControl(character: string): string {
  return character === "\n" ? "\\n" : unicodeEscape(character);
}
