import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { stateOf } from "../../lib/request/state.js";
import { connectionOf } from "../arrival.js";
import { type Fields, loggedTarget, messageOf, type RequestLogEntry } from "../entry.js";

// The schema requires lists here, even for one value.
const CATEGORY = ["web"];
const TYPE = ["access"];

/**
 * Elastic Common Schema 9. Durations are whole nanoseconds. Values for which the schema has no field are labels, as
 * text.
 *
 * @see https://www.elastic.co/docs/reference/ecs/ecs-field-reference
 */
export function toEcs(entry: RequestLogEntry, req: IncomingMessage): Fields {
  const ended = !entry.immediate;
  const { remoteAddress } = entry;
  const { scheme, host, port } = connectionOf(req);
  return {
    "@timestamp": entry.time,
    "log.level": entry.level,
    message: messageOf(entry),
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
    "url.original": loggedTarget(entry),
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

/** Same rule as Elastic's modules for web servers; unknown if the client left during the body. */
function outcomeOf({ status, aborted, error }: RequestLogEntry): "success" | "failure" | "unknown" {
  if (status >= 400) return "failure";
  if (aborted) return "unknown";
  return error === undefined ? "success" : "failure";
}

/** Elasticsearch's type `ip` refuses a zone, and a refused value makes it reject the whole document. */
function isIndexable(address: string): boolean {
  return isIP(address) !== 0 && !address.includes("%");
}

/** Elasticsearch reads a dot in a label's name as an object and a star as a pattern, so both are replaced. */
function labelsOf(headers: RequestLogEntry["headers"]): Fields | undefined {
  if (headers === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      `labels.request_header_${name.replace(/[.*]/g, "_")}`,
      value,
    ]),
  );
}
