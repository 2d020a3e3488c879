import type { IncomingMessage } from "node:http";
import { pathOf } from "../http/target.js";
import { CONTROLS, unicodeEscape } from "../values/control-characters.js";
import { describeThrown } from "../values/thrown.js";

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
