import type { IncomingHttpHeaders } from "node:http";
import { trimOws } from "../../lib/http/tokens.js";
import type { HeaderList } from "../../lib/response/snapshot.js";
import { fieldOf, parseHttpDate } from "./fields.js";

/**
 * Whether a request's conditions turn a stored response into a 304 (RFC 9111 section 4.3.2). If there is an
 * If-None-Match, only that counts; conditions apply to 2xx responses only (RFC 9110 section 13.2.1).
 */
export function notModified(request: IncomingHttpHeaders, entry: HeaderList, status = 200): boolean {
  const tags = request["if-none-match"];
  const since = request["if-modified-since"];
  if (tags === undefined && since === undefined) return false;
  if (status < 200 || status > 299) return false;
  if (tags !== undefined) return isListed(fieldOf(entry, "etag"), tags);
  return isUnmodified(entry, since!);
}

/** Whether the entry's tag is listed, by weak comparison (RFC 9110 section 8.8.3.2). */
function isListed(etag: string | undefined, tags: string): boolean {
  if (trimOws(tags) === "*") return true;
  if (etag === undefined) return false;
  const wanted = opaque(etag);
  let at = 0;
  while (at < tags.length) {
    const end = tagEnd(tags, at);
    if (opaque(trimOws(tags.slice(at, end))) === wanted) return true;
    at = end + 1;
  }
  return false;
}

/** The position of the comma after the tag that begins at `from`, or the end. A tag can contain commas. */
function tagEnd(tags: string, from: number): number {
  let quoted = false;
  for (let at = from; at < tags.length; at++) {
    const code = tags.charCodeAt(at);
    if (code === 0x22) quoted = !quoted;
    else if (code === 0x2c && !quoted) return at;
  }
  return tags.length;
}

function opaque(etag: string): string {
  return etag.startsWith("W/") ? etag.slice(2) : etag;
}

function isUnmodified(entry: HeaderList, since: string): boolean {
  const modified = fieldOf(entry, "last-modified") ?? fieldOf(entry, "date");
  if (modified === undefined) return false;
  const modifiedAt = parseHttpDate(modified, 0);
  if (modifiedAt === undefined) return false;
  // The response's date decides the century of a two-digit year.
  const sinceAt = parseHttpDate(since, modifiedAt);
  return sinceAt !== undefined && modifiedAt <= sinceAt;
}

/**
 * Whether a Range may be served (RFC 9110 section 13.1.5): there is no If-Range, or it names this representation by a
 * strong validator.
 */
export function ifRangeHolds(request: IncomingHttpHeaders, entry: HeaderList): boolean {
  const field = request["if-range"];
  if (field === undefined) return true;
  const wanted = trimOws(String(field));
  if (wanted.startsWith('"')) return wanted === fieldOf(entry, "etag");
  const modified = fieldOf(entry, "last-modified");
  const date = fieldOf(entry, "date");
  if (modified === undefined || date === undefined) return false;
  const modifiedAt = parseHttpDate(modified, 0);
  if (modifiedAt === undefined || parseHttpDate(wanted, modifiedAt) !== modifiedAt) return false;
  // A date is a strong validator only if it is a second older than the response (section 8.8.2.2).
  return (parseHttpDate(date, modifiedAt) ?? modifiedAt) - modifiedAt >= 1000;
}

/** The positions of the first and the last byte, as in Content-Range. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const BYTES = /^bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/i;

/**
 * The part of a body of `size` bytes that a Range field asks for (RFC 9110 section 14.1.2). Undefined stands for the
 * whole body: several ranges, other units, or not a range.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const parts = header === undefined ? null : BYTES.exec(header);
  if (parts === null) return undefined;
  const [, first, last, suffix] = parts;
  if (suffix !== undefined) {
    const length = Number(suffix);
    if (length === 0) return "unsatisfiable";
    // An empty body has no range: it is sent whole.
    return size === 0 ? undefined : { start: Math.max(0, size - length), end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Number(last);
  if (last !== "" && end < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end: Math.min(end, size - 1) };
}

/** Whether the body has an encoding. */
export function isEncoded(headers: HeaderList): boolean {
  const encoding = fieldOf(headers, "content-encoding");
  return encoding !== undefined && encoding !== "" && encoding.toLowerCase() !== "identity";
}

/** Whether a client accepts an encoded body (RFC 9110 section 12.5.3); yes if that is not clear. */
export function acceptsEncoding(headers: IncomingHttpHeaders): boolean {
  const field = headers["accept-encoding"];
  if (field === undefined) return false;
  return String(field)
    .split(",")
    .some((element) => !REFUSED_OR_PLAIN.test(element));
}

const REFUSED_OR_PLAIN = /^[ \t]*(?:|identity(?:[ \t]*;.*)?|[^;]*;[ \t]*q=0(?:\.0{0,3})?[ \t]*)$/i;
