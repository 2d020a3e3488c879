import { type RequestLogEntry, urlOf } from "./entry.js";
import { escapeValue } from "./escape.js";

const RED = 31;
const GREEN = 32;
const YELLOW = 33;
const CYAN = 36;

/** `GET /hello?x=1 200 1.234 ms`: method, target, status and duration, then what was unusual. */
export function devLine(entry: RequestLogEntry): string {
  return lineWith(entry, String(entry.status));
}

/** The same, with the status in its colour. */
export function colouredDevLine(entry: RequestLogEntry): string {
  return lineWith(entry, `\x1b[${colourOf(entry.status)}m${entry.status}\x1b[39m`);
}

function lineWith(entry: RequestLogEntry, status: string): string {
  const request = `${escapeValue(entry.method)} ${escapeValue(urlOf(entry))}`;
  if (entry.immediate) return `${request} - - ms`;
  let line = `${request} ${status} ${entry.durationMs.toFixed(3)} ms`;
  if (entry.aborted) line += " aborted";
  if (entry.timedOut) line += " timed out";
  if (entry.cache !== undefined) line += ` cache ${escapeValue(entry.cache)}`;
  if (entry.error !== undefined) {
    line += ` ${escapeValue(entry.error.type)}: ${escapeValue(entry.error.message)}`;
  }
  return line;
}

function colourOf(status: number): number {
  if (status >= 500) return RED;
  if (status >= 400) return YELLOW;
  return status >= 300 ? CYAN : GREEN;
}
