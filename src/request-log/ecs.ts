import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { stateOf } from "../lib/request/state.js";
import { type RequestLogEntry, urlOf } from "./entry.js";
import type { Fields } from "./schemas.js";
import { summaryOf } from "./summary.js";
import { wireOf } from "./wire.js";

// Lists by the schema's rules, though each has one value: Elasticsearch is told that there may be more.
const CATEGORY = ["web"];
const TYPE = ["access"];

/**
 * Elastic Common Schema 9. Durations are whole nanoseconds. What the schema has no field for are labels, whose values
 * are text.
 *
 * @see https://www.elastic.co/docs/reference/ecs/ecs-field-reference
 */
export function toEcs(entry: RequestLogEntry, req: IncomingMessage): Fields {
  const ended = !entry.immediate;
  const { remoteAddress } = entry;
  const { scheme, host, port } = wireOf(req);
  return {
    "@timestamp": entry.time,
    "log.level": entry.level,
    message: summaryOf(entry),
    "ecs.version": "9.0.0",
    "event.kind": "event",
    "event.category": CATEGORY,
    "event.type": TYPE,
    "event.outcome": ended ? outcomeOf(entry) : "unknown",
    "event.duration": ended ? Math.round(entry.durationMs * 1e6) : undefined,
    "http.request.id": entry.requestId,
    "http.request.method": entry.method,
    "http.request.referrer": entry.referrer,
    "http.response.body.bytes": entry.responseBytes,
    "http.response.status_code": ended ? entry.status : undefined,
    "http.version": entry.httpVersion,
    "url.original": urlOf(entry),
    "url.scheme": scheme,
    "url.domain": host,
    "url.port": port,
    "url.path": entry.path,
    "url.query": entry.query,
    "client.address": remoteAddress === "-" ? undefined : remoteAddress,
    "client.ip": isIndexable(remoteAddress) ? remoteAddress : undefined,
    "user.name": entry.user?.toString(),
    "user_agent.original": entry.userAgent,
    "trace.id": entry.traceId,
    "span.id": entry.traceId === undefined ? undefined : stateOf(req).trace?.spanId,
    "error.type": entry.error?.type,
    "error.message": entry.error?.message,
    "error.stack_trace": entry.error?.stack,
    "labels.route": entry.route,
    "labels.cache": entry.cache,
    "labels.aborted": entry.aborted && "true",
    "labels.timed_out": entry.timedOut && "true",
    "labels.refused_by": entry.refused?.by,
    "labels.refused_reason": entry.refused?.reason,
    ...labelsOf(entry.headers),
  };
}

/** As Elastic's own modules for web servers judge; of a body that its client gave up, nobody can say. */
function outcomeOf({ status, aborted, error }: RequestLogEntry): "success" | "failure" | "unknown" {
  if (status >= 400) return "failure";
  if (aborted) return "unknown";
  return error === undefined ? "success" : "failure";
}

/** The type `ip` takes no zone; a value that it does not take would cost the whole document. */
function isIndexable(address: string): boolean {
  return isIP(address) !== 0 && !address.includes("%");
}

/** A dot in the name of a label would make an object of it, a star a pattern. */
function labelsOf(headers: RequestLogEntry["headers"]): Fields | undefined {
  if (headers === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      `labels.request_header_${name.replace(/[.*]/g, "_")}`,
      value,
    ]),
  );
}
