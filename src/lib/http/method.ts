import type { IncomingMessage } from "node:http";
import { words } from "../values/words.js";

/** A CORS preflight as the Fetch standard defines it (section 3.3.2): OPTIONS alone is not enough. */
export function isPreflight(method: string | undefined, headers: IncomingMessage["headers"]): boolean {
  return (
    method === "OPTIONS" &&
    headers.origin !== undefined &&
    headers["access-control-request-method"] !== undefined
  );
}

/** The known methods of OpenTelemetry's conventions; all others are `_OTHER`. */
const METHODS = new Set(words("CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE"));

/** Whether the method is a known one. Metrics must not be named after what a client invents. */
export function isKnownMethod(method: string): boolean {
  return METHODS.has(method);
}

/** The methods whose values are stable in the conventions: QUERY is not yet. */
const STABLE_METHODS = new Set([...METHODS].filter((method) => method !== "QUERY"));

/** The method as a metric may have it: one of nine, or `_OTHER`. */
export function methodLabel(method: string | undefined): string {
  return method !== undefined && STABLE_METHODS.has(method) ? method : "_OTHER";
}
