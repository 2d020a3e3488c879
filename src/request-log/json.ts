import type { RequestLogEntry } from "./entry.js";
import { escapeLine, jsonString } from "./escape.js";

/**
 * The entry as a line of JSON: what `JSON.stringify` makes of it, in a fraction of its time, and with the control
 * characters escaped that JSON would let through. (Its fields are known, and few of their values need an escape.)
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

/** A record of any fields; members that are undefined are left out. */
export function jsonRecord(record: Readonly<Record<string, unknown>>): string {
  return escapeLine(JSON.stringify(record));
}
