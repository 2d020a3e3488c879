import type { Refusal } from "../../lib/request/state.js";
import { loggedTarget, type RequestLogEntry } from "../entry.js";
import { escapeValue } from "../escape.js";
import type { LineFormat } from "./morgan.js";

const RED = 31;
const GREEN = 32;
const YELLOW = 33;
const CYAN = 36;
const GREY = 90;

export interface DevStyle {
  /** From this duration a request is marked as slow. */
  readonly slowMs: number;
  readonly colours: boolean;
  /** The terminal that lines are aligned for, if it reports its width. */
  readonly terminal: { readonly columns?: number | undefined } | undefined;
}

/**
 * `GET /hello?x=1 200 1.234 ms`: method, target, status and duration, then marks for what was unusual. On a terminal
 * the line has colours and columns. Columns move the cursor instead of writing spaces, so the text is the same
 * everywhere.
 */
export function devFormat({ slowMs, colours, terminal }: DevStyle): LineFormat {
  const paint = colours ? colour : plain;
  return function devLine(entry) {
    const isSlow = entry.durationMs >= slowMs;
    const columns = terminal?.columns; // read for each line: a window can be resized
    const parts = columns ? partsInColumns(entry, columns) : partsOf(entry);
    if (entry.immediate) return `${parts.request} - - ms`;
    const status = paint(colourOf(entry.status), String(entry.status));
    const duration = isSlow ? paint(YELLOW, `${parts.duration} ms`) : `${parts.duration} ms`;
    return `${parts.request} ${status}${parts.gap} ${duration}${marksOf(entry, isSlow, paint)}`;
  };
}

type Paint = (code: number, text: string) => string;

const colour: Paint = (code, text) => `\x1b[${code}m${text}\x1b[39m`;
const plain: Paint = (_code, text) => text;

function colourOf(status: number): number {
  if (status >= 500) return RED;
  if (status >= 400) return YELLOW;
  return status >= 300 ? CYAN : GREEN;
}

function marksOf(entry: RequestLogEntry, isSlow: boolean, paint: Paint): string {
  let marks = "";
  if (isSlow) marks += ` ${paint(YELLOW, "slow")}`;
  if (entry.aborted) marks += ` ${paint(YELLOW, "aborted")}`;
  if (entry.timedOut) marks += ` ${paint(RED, "timed out")}`;
  if (entry.cache !== undefined) marks += ` ${paint(GREY, `cache ${escapeValue(entry.cache)}`)}`;
  // A timeout is marked already.
  if (entry.refused !== undefined && !entry.timedOut) marks += ` ${paint(GREY, refusalOf(entry.refused))}`;
  if (entry.error === undefined) return marks;
  return `${marks} ${paint(RED, `${escapeValue(entry.error.type)}: ${escapeValue(entry.error.message)}`)}`;
}

function refusalOf({ by, reason }: Refusal): string {
  return `${escapeValue(by)}: ${escapeValue(reason)}`;
}

interface Parts {
  readonly request: string;
  /** Between status and duration. */
  readonly gap: string;
  readonly duration: string;
}

function partsOf(entry: RequestLogEntry): Parts {
  const request = `${escapeValue(entry.method)} ${escapeValue(loggedTarget(entry))}`;
  return { request, gap: "", duration: entry.durationMs.toFixed(3) };
}

const METHOD_WIDTH = 7; // OPTIONS
const DURATION_WIDTH = 9; // 99999.999
/** After the target: a space, the status, a space, the duration and its unit. */
const TAIL_WIDTH = 1 + 3 + 1 + DURATION_WIDTH + 3;
const MARKS_WIDTH = 14;
const MIN_WIDTH = 12;
const MAX_WIDTH = 60;

/** A target longer than its column moves the rest to the right; one that does not fit the terminal is shortened. */
function partsInColumns(entry: RequestLogEntry, columns: number): Parts {
  const method = escapeValue(entry.method);
  const room = Math.max(columns - METHOD_WIDTH - 1 - TAIL_WIDTH, MIN_WIDTH);
  const width = Math.min(Math.max(room - MARKS_WIDTH, MIN_WIDTH), MAX_WIDTH);
  const url = escapeValue(loggedTarget(entry));
  const over = Math.max(method.length - METHOD_WIDTH, 0);
  const most = Math.max(room - over, MIN_WIDTH);
  const target = url.length > most ? `${url.slice(0, most - 1)}\u2026` : url;
  const duration = entry.durationMs.toFixed(3);
  const left = width - over - target.length;
  return {
    request: `${method}${forward(METHOD_WIDTH - method.length)} ${target}${entry.immediate ? "" : forward(left)}`,
    gap: forward(DURATION_WIDTH - duration.length),
    duration,
  };
}

/** Moves the cursor to the right (ECMA-48, CUF). */
function forward(cells: number): string {
  return cells > 0 ? `\x1b[${cells}C` : "";
}

interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Returns the stream if it is a terminal. */
export function terminalOf(stream: Terminal): Terminal | undefined {
  return stream.isTTY === true ? stream : undefined;
}

/**
 * Whether lines to this stream have colours: on a terminal, unless `NO_COLOR` is set. `FORCE_COLOR` and `TERM` count
 * for standard output and standard error only, so a log file never gets escape sequences from them.
 *
 * @see https://no-color.org
 * @see https://force-color.org
 */
export function wantsColours(stream: object): boolean {
  const { FORCE_COLOR, NO_COLOR, TERM } = process.env;
  if (stream === process.stdout || stream === process.stderr) {
    if (FORCE_COLOR) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
    if (TERM === "dumb") return false;
  }
  return terminalOf(stream) !== undefined && !NO_COLOR;
}
