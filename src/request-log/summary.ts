import type { RequestLogEntry } from "./entry.js";

/** The text of a record whose fields say the rest: what no field of the schema has a name for stands here. */
export function summaryOf(entry: RequestLogEntry): string {
  let text = `${entry.method} ${entry.path}`;
  if (entry.immediate) return text;
  text += ` ${entry.status}`;
  if (entry.aborted) text += " aborted";
  if (entry.timedOut) text += " timed out";
  return text;
}
