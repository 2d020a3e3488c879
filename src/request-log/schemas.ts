import type { IncomingMessage } from "node:http";
import { type RequestLogEntry, urlOf } from "./entry.js";

export const schemas = ["plain", "ecs", "otel"] as const;
export type Schema = (typeof schemas)[number];

type Fields = Readonly<Record<string, unknown>>;

/** An entry in the names and units of a schema, flat, with dotted names; what is undefined is left out. */
export const mapEntry: Readonly<
  Record<Exclude<Schema, "plain">, (entry: RequestLogEntry, req: IncomingMessage) => Fields>
> = { ecs: toEcs, otel: toOtel };

/** Elastic Common Schema 9. Durations are whole nanoseconds. */
function toEcs(entry: RequestLogEntry): Fields {
  const ended = !entry.immediate;
  return {
    "@timestamp": entry.time,
    "log.level": entry.level,
    message: messageOf(entry),
    "ecs.version": "9.0.0",
    "event.duration": ended ? Math.round(entry.durationMs * 1e6) : undefined,
    "http.request.id": entry.requestId,
    "http.request.method": entry.method,
    "http.request.referrer": entry.referrer,
    "http.response.body.bytes": entry.responseBytes,
    "http.response.status_code": ended ? entry.status : undefined,
    "http.version": entry.httpVersion,
    "url.original": urlOf(entry),
    "url.path": entry.path,
    "url.query": entry.query,
    "client.ip": entry.remoteAddress === "-" ? undefined : entry.remoteAddress,
    "user.name": entry.user?.toString(),
    "user_agent.original": entry.userAgent,
    "trace.id": entry.traceId,
    "error.type": entry.error?.type,
    "error.message": entry.error?.message,
    ...headerFields(entry),
  };
}

/** OpenTelemetry's semantic conventions for HTTP servers, 1.44. Durations are seconds. */
function toOtel(entry: RequestLogEntry, req: IncomingMessage): Fields {
  const ended = !entry.immediate;
  const known = METHODS.has(entry.method);
  const { socket } = req;
  const server = serverOf(req.headers.host);
  return {
    timestamp: entry.time,
    severity_text: entry.level.toUpperCase(),
    body: messageOf(entry),
    trace_id: entry.traceId,
    "http.request.method": known ? entry.method : "_OTHER",
    "http.request.method_original": known ? undefined : entry.method,
    "http.route": entry.route,
    "http.response.status_code": ended ? entry.status : undefined,
    "http.response.body.size": entry.responseBytes,
    "http.server.request.duration": ended ? Math.round(entry.durationMs * 1e3) / 1e6 : undefined,
    "url.scheme": (socket as { encrypted?: boolean } | undefined)?.encrypted ? "https" : "http",
    "url.path": entry.path,
    "url.query": entry.query,
    "client.address": entry.remoteAddress === "-" ? undefined : entry.remoteAddress,
    "network.peer.address": socket?.remoteAddress?.replace(/^::ffff:(?=.*\.)/, ""),
    "network.peer.port": socket?.remotePort,
    "network.protocol.version": entry.httpVersion,
    "server.address": server.address,
    "server.port": server.port,
    "user_agent.original": entry.userAgent,
    "user.name": entry.user?.toString(),
    // The conventions: the exception's type, else the status of a server error.
    "error.type": entry.error?.type ?? (ended && entry.status >= 500 ? String(entry.status) : undefined),
    ...headerFields(entry, true),
  };
}

/** The methods that the conventions take for known; others are counted as one. */
const METHODS = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
]);

function messageOf(entry: RequestLogEntry): string {
  return entry.immediate ? `${entry.method} ${entry.path}` : `${entry.method} ${entry.path} ${entry.status}`;
}

/** The conventions have a list of values for each header. */
function headerFields({ headers }: RequestLogEntry, asList = false): Fields | undefined {
  if (headers === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [`http.request.header.${name}`, asList ? [value] : value]),
  );
}

/** The Host header, as far as it is one: a client can write anything there. */
function serverOf(host: string | undefined): { address?: string; port?: number } {
  const match = /^([\w.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/i.exec(host ?? "");
  if (match === null) return {};
  const [, address, port] = match;
  return {
    ...(address !== undefined && { address: address.replace(/^\[|\]$/g, "") }),
    ...(port !== undefined && { port: Number(port) }),
  };
}
