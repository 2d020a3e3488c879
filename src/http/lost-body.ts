import type { ServerResponse } from "node:http";

/** Besides `Content-*`: what described the body that is lost, or let it be stored. */
const OF_THE_LOST_BODY = new Set([
  "accept-ranges",
  "age",
  "cache-control",
  "cdn-cache-control",
  "digest",
  "etag",
  "expires",
  "last-modified",
  "location",
  "pragma",
  "refresh",
  "repr-digest",
  "surrogate-control",
  "trailer",
  "transfer-encoding",
]);

/** Whether a header that was set before the error has no place on its answer. */
export function belongsToLostBody(name: string): boolean {
  const lower = name.toLowerCase();
  if (lower.startsWith("content-")) return !lower.startsWith("content-security-policy");
  return OF_THE_LOST_BODY.has(lower);
}

export function dropLostBody(res: ServerResponse): void {
  for (const name of res.getHeaderNames()) {
    if (belongsToLostBody(name)) res.removeHeader(name);
  }
}
