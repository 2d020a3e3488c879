import type { LineStream } from "./sink.js";

type Terminal = LineStream & { readonly isTTY?: boolean; readonly columns?: number };

/** Returns the stream if it is a terminal. */
export function terminalOf(stream: LineStream): Terminal | undefined {
  return (stream as Terminal).isTTY === true ? stream : undefined;
}

/**
 * Whether lines to this stream have colours: on a terminal, unless `NO_COLOR` is set. `FORCE_COLOR` and `TERM` count for
 * standard output and standard error only, so a log file never gets escape sequences from them.
 *
 * @see https://no-color.org
 * @see https://force-color.org
 */
export function wantsColours(stream: LineStream): boolean {
  const { FORCE_COLOR, NO_COLOR, TERM } = process.env;
  if (stream === process.stdout || stream === process.stderr) {
    if (FORCE_COLOR) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
    if (TERM === "dumb") return false;
  }
  return terminalOf(stream) !== undefined && !NO_COLOR;
}
