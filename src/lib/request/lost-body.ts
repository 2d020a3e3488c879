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
export function belongsToLostBody(name: string, status?: number): boolean {
  const lower = name.toLowerCase();
  if (lower === "content-range" && status === 416) return false; // RFC 9110 section 15.5.17: how long the whole is
  if (lower.startsWith("content-")) return !lower.startsWith("content-security-policy");
  return OF_THE_LOST_BODY.has(lower);
}

/** @param status of the answer that takes the body's place */
export function dropLostBody(res: ServerResponse, status?: number): void {
  for (const name of res.getHeaderNames()) {
    if (belongsToLostBody(name, status)) res.removeHeader(name);
  }
}
