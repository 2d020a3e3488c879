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
