import type { IncomingMessage } from "node:http";

/** As the Fetch standard defines it (section 3.3.2): a method's name alone does not make a preflight. */
export function isPreflight(method: string | undefined, headers: IncomingMessage["headers"]): boolean {
  return (
    method === "OPTIONS" &&
    headers.origin !== undefined &&
    headers["access-control-request-method"] !== undefined
  );
}

/** The methods that OpenTelemetry's conventions take for known; all others are `_OTHER`. */
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

/** Whether a method is one of few: what a client can make up must not become a name of its own. */
export function isKnownMethod(method: string): boolean {
  return METHODS.has(method);
}
