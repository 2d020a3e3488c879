import type { ServerResponse } from "node:http";
import type { EncodingName } from "./codings.js";

/** Headers that describe the bytes of the body without encoding. */
const OF_PLAIN_BYTES = ["content-md5", "content-digest", "repr-digest", "digest", "accept-ranges"];

/** Sets the headers of an encoded body; `length` in bytes, if it is known. */
export function describeEncoded(
  res: ServerResponse,
  encoding: EncodingName,
  length: number | undefined,
): void {
  res.setHeader("Content-Encoding", encoding);
  if (length !== undefined) res.setHeader("Content-Length", length);
  else if (res.hasHeader("content-length")) res.removeHeader("Content-Length");
  for (const name of OF_PLAIN_BYTES) {
    if (res.hasHeader(name)) res.removeHeader(name);
  }
  weaken(res);
}

/**
 * Removes headers from an answer to HEAD if it is unknown whether the body of the GET would be encoded, because that
 * depends on the encoded size. RFC 9110 section 9.3.2 allows to leave them out.
 */
export function removeUnknown(res: ServerResponse): void {
  for (const name of OF_PLAIN_BYTES) {
    if (res.hasHeader(name)) res.removeHeader(name);
  }
  if (res.hasHeader("content-length")) res.removeHeader("Content-Length");
  const etag = res.getHeader("etag");
  if (typeof etag === "string" && etag.startsWith('"')) res.removeHeader("ETag");
}

/** Makes the ETag weak: the encoded and the plain body have the same ETag but different bytes (RFC 9110 section 8.8.1). */
export function weaken(res: ServerResponse): void {
  const etag = res.getHeader("etag");
  if (typeof etag === "string" && etag.startsWith('"')) res.setHeader("ETag", `W/${etag}`);
}

/** Whether trailers were added: HTTP/1.1 allows them only on a body without Content-Length. */
export function hasTrailers(res: ServerResponse): boolean {
  return !!(res as { _trailer?: string })._trailer;
}
