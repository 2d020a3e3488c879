import type { ServerResponse } from "node:http";
import type { Encoding } from "./codings.js";

/** They speak of the bytes of the body as it was. */
const STALE = ["content-md5", "content-digest", "repr-digest", "digest", "accept-ranges"];

/** The headers of a body that is coded; `length` in bytes, if it is known. */
export function describeCoded(res: ServerResponse, encoding: Encoding, length: number | undefined): void {
  res.setHeader("Content-Encoding", encoding);
  if (length !== undefined) res.setHeader("Content-Length", length);
  else if (res.hasHeader("content-length")) res.removeHeader("Content-Length");
  for (const name of STALE) {
    if (res.hasHeader(name)) res.removeHeader(name);
  }
  weaken(res);
}

/**
 * What an answer to HEAD must not say where it cannot be known whether the body of the GET would be encoded: it would
 * be if it then got smaller (RFC 9110 section 9.3.2 lets these fields be left out).
 */
export function forgetUnknown(res: ServerResponse): void {
  for (const name of STALE) {
    if (res.hasHeader(name)) res.removeHeader(name);
  }
  if (res.hasHeader("content-length")) res.removeHeader("Content-Length");
  const etag = res.getHeader("etag");
  if (typeof etag === "string" && etag.startsWith('"')) res.removeHeader("ETag");
}

/** Coded and plain have one ETag, and not the same bytes (RFC 9110 section 8.8.1). */
export function weaken(res: ServerResponse): void {
  const etag = res.getHeader("etag");
  if (typeof etag === "string" && etag.startsWith('"')) res.setHeader("ETag", `W/${etag}`);
}

/** Whether trailers were added: on HTTP/1.1 only a body without a length has any. */
export function hasTrailers(res: ServerResponse): boolean {
  return !!(res as { _trailer?: string })._trailer;
}
