import type { IncomingMessage } from "node:http";
import { isKnownMethod } from "../../lib/http/method.js";
import { stateOf } from "../../lib/request/state.js";
import { connectionOf } from "../arrival.js";
import { type Fields, messageOf, type RequestLogEntry } from "../entry.js";
import type { Level } from "../level.js";

/** The first number of each level's range in the logs data model. */
const SEVERITY: Readonly<Record<Level, number>> = { debug: 5, info: 9, warn: 13, error: 17 };

/**
 * OpenTelemetry: the fields of a log record, then the attributes of an HTTP server (semantic conventions 1.45).
 * Durations are seconds.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 * @see https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/
 */
export function toOtel(entry: RequestLogEntry, req: IncomingMessage): Fields {
  const ended = !entry.immediate;
  const known = isKnownMethod(entry.method);
  const connection = connectionOf(req);
  const trace = entry.traceId === undefined ? undefined : stateOf(req).trace;
  return {
    timestamp: entry.time,
    severity_text: entry.level.toUpperCase(),
    severity_number: SEVERITY[entry.level],
    body: messageOf(entry),
    trace_id: entry.traceId,
    span_id: trace?.spanId,
    trace_flags: trace?.toString().slice(-2),
    "http.request.method": known ? entry.method : "_OTHER",
    "http.request.method_original": known ? undefined : entry.method,
    "http.route": entry.route,
    // Only if a status was sent; 499 and 444 were not.
    "http.response.status_code": entry.responseBytes === undefined ? undefined : entry.status,
    "http.response.body.size": entry.responseBytes,
    "http.server.request.duration": ended ? Math.round(entry.durationMs * 1e3) / 1e6 : undefined,
    "url.scheme": connection.scheme,
    "url.path": entry.path,
    "url.query": entry.query,
    "client.address": entry.remoteAddress === "-" ? undefined : entry.remoteAddress,
    "network.peer.address": connection.peerAddress,
    "network.peer.port": connection.peerPort,
    "network.protocol.version": entry.httpVersion === "2.0" ? "2" : entry.httpVersion,
    "server.address": connection.host?.replace(/^\[|\]$/g, ""),
    "server.port": connection.port,
    "user_agent.original": entry.userAgent,
    "user.name": entry.user?.toString(),
    "error.type": errorType(entry),
    "portico.refused.by": entry.refused?.by,
    "portico.refused.reason": entry.refused?.reason,
    "exception.type": entry.error?.type,
    "exception.message": entry.error?.message,
    "exception.stacktrace": entry.error?.stack,
    ...headersOf(entry),
  };
}

/**
 * Set for failures of the server only: not for a 4xx, and not for a client that left, unless it had been sent a 5xx.
 */
function errorType({ status, timedOut, aborted, error, immediate }: RequestLogEntry): string | undefined {
  if (immediate || (aborted && status < 500) || (status >= 400 && status < 500)) return undefined;
  if (error !== undefined) return error.type;
  if (timedOut) return "timeout";
  return status >= 500 ? String(status) : undefined;
}

/** The conventions require a list for each header. The request id is in the response header that carries it. */
function headersOf({ headers = {}, requestId }: RequestLogEntry): Fields {
  const fields = Object.entries(headers).map(([name, value]) => [`http.request.header.${name}`, [value]]);
  if (requestId !== undefined) fields.push(["http.response.header.x-request-id", [requestId]]);
  return Object.fromEntries(fields) as Fields;
}
