import type { RequestLogEntry } from "./entry.js";
import { escapeLine, jsonString } from "./escape.js";

/**
 * Same text as `JSON.stringify(entry)`, in a fraction of the time, because the fields are known and few values need
 * escapes. Control characters that JSON allows are escaped too.
 */
export function jsonLine(entry: RequestLogEntry): string {
  let line = `{"time":"${entry.time}","level":"${entry.level}"`;
  if (entry.requestId !== undefined) line += `,"requestId":${jsonString(entry.requestId)}`;
  if (entry.traceId !== undefined) line += `,"traceId":${jsonString(entry.traceId)}`;
  line += `,"method":${jsonString(entry.method)},"path":${jsonString(entry.path)}`;
  if (entry.query !== undefined) line += `,"query":${jsonString(entry.query)}`;
  if (entry.route !== undefined) line += `,"route":${jsonString(entry.route)}`;
  line += `,"status":${entry.status},"durationMs":${entry.durationMs}`;
  if (entry.headersMs !== undefined) line += `,"headersMs":${entry.headersMs}`;
  if (entry.responseBytes !== undefined) line += `,"responseBytes":${entry.responseBytes}`;
  line += `,"remoteAddress":${jsonString(entry.remoteAddress)},"httpVersion":${jsonString(entry.httpVersion)}`;
  if (entry.userAgent !== undefined) line += `,"userAgent":${jsonString(entry.userAgent)}`;
  if (entry.referrer !== undefined) line += `,"referrer":${jsonString(entry.referrer)}`;
  if (entry.user !== undefined) line += `,"user":${escapeLine(JSON.stringify(entry.user))}`;
  if (entry.aborted) line += ',"aborted":true';
  if (entry.timedOut) line += ',"timedOut":true';
  if (entry.cache !== undefined) line += `,"cache":${jsonString(entry.cache)}`;
  if (entry.refused !== undefined) {
    line += `,"refused":{"by":${jsonString(entry.refused.by)},"reason":${jsonString(entry.refused.reason)}}`;
  }
  if (entry.error !== undefined) {
    line += `,"error":{"type":${jsonString(entry.error.type)},"message":${jsonString(entry.error.message)}`;
    line += entry.error.stack === undefined ? "}" : `,"stack":${jsonString(entry.error.stack)}}`;
  }
  if (entry.headers !== undefined) line += `,"headers":${jsonRecord(entry.headers)}`;
  if (entry.immediate) line += ',"immediate":true';
  return line + "}";
}

/** JSON of any record; undefined members are left out. */
export function jsonRecord(record: Readonly<Record<string, unknown>>): string {
  return escapeLine(JSON.stringify(record));
}
