import type { RequestLogEntry } from "./entry.js";

/** The message of an ecs or otel record. It also says what the schema has no field for. */
export function messageOf(entry: RequestLogEntry): string {
  let text = `${entry.method} ${entry.path}`;
  if (entry.immediate) return text;
  text += ` ${entry.status}`;
  if (entry.aborted) text += " aborted";
  if (entry.timedOut) text += " timed out";
  return text;
}
