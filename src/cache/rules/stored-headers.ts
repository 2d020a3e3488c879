import type { HeaderList } from "../../lib/response/snapshot.js";
import type { Directives } from "./directives.js";
import { fieldOf, linesOf, listOf } from "./fields.js";
import { directivesOf } from "./targeted.js";

/** Never stored: those of RFC 9111 section 3.1, and those that belong to one connection, one exchange or one client. */
const NEVER_STORED: ReadonlySet<string> = new Set([
  ...["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"],
  ...["set-cookie", "authentication-info"],
  ...["x-request-id", "request-id", "x-correlation-id", "server-timing", "x-response-time"],
  ...["traceparent", "tracestate", "traceresponse", "tracelink"],
]);

const NEVER_STORED_PREFIXES = /^(?:proxy-|(?:x-)?ratelimit(?:-|$)|x-rate-limit-)/;

/** Whether a header is never stored; `name` in lower case. */
export function isNeverStored(name: string): boolean {
  return NEVER_STORED.has(name) || NEVER_STORED_PREFIXES.test(name);
}

/**
 * Stored even if outer middleware has set them: the cache itself uses them, or they describe the stored body. Outer
 * middleware sets all its other headers again for each answer.
 */
const STORED_ANYWAY: ReadonlySet<string> = new Set([
  ...["age", "cache-control", "cdn-cache-control", "date", "expires"],
  ...["content-encoding", "content-language", "content-length", "content-type", "etag", "last-modified"],
]);

/**
 * The headers of a response that are stored. `before`: the headers that were set when the request came to the cache. Of
 * Vary, only the fields that were added since are stored.
 */
export function storedHeaders(headers: HeaderList, before: HeaderList): HeaderList {
  const left = excludedBy(headers);
  const outer = new Map(before.map(([name, value]) => [name.toLowerCase(), value]));
  const stored: HeaderList[number][] = [];
  let varyDone = false;
  for (const pair of headers) {
    const name = pair[0].toLowerCase();
    if (left(name)) continue;
    if (name === "vary") {
      const added = varyDone ? "" : addedVary(headers, before);
      varyDone = true;
      if (added !== "") stored.push([pair[0], added]);
    } else if (STORED_ANYWAY.has(name) || !isSame(outer.get(name), pair[1])) {
      stored.push(typeof pair[1] === "object" ? [pair[0], [...pair[1]]] : pair);
    }
  }
  const present = new Set(headers.map(([name]) => name.toLowerCase()));
  for (const [name] of before) {
    const lower = name.toLowerCase();
    // An empty list: the handlers have removed it, so it is removed from each answer.
    if (!present.has(lower) && !left(lower) && lower !== "vary") stored.push([name, []]);
  }
  return stored;
}

/** A 304 does not update these: they describe the stored body (RFC 9111 section 3.2). */
const NOT_UPDATED: ReadonlySet<string> = new Set([
  ...["content-encoding", "content-length", "content-md5", "content-range"],
  ...["content-digest", "digest", "repr-digest"],
]);

/** The stored headers after a 304: its fields replace those of the same name. */
export function updatedHeaders(stored: HeaderList, from304: HeaderList): HeaderList {
  const left = excludedBy(from304);
  const hasTag = fieldOf(stored, "etag") !== undefined;
  const newer = from304.filter(([written]) => {
    const name = written.toLowerCase();
    return !left(name) && !NOT_UPDATED.has(name) && !(hasTag && name === "etag");
  });
  const replaced = new Set(newer.map(([name]) => name.toLowerCase()));
  return [...stored.filter(([name]) => !replaced.has(name.toLowerCase())), ...newer];
}

/** Returns a predicate: whether the field with this lower-case name is not stored. */
function excludedBy(headers: HeaderList): (name: string) => boolean {
  const named = new Set(namedFields(directivesOf(headers).directives));
  for (const option of listOf(headers, "connection")) named.add(option.toLowerCase());
  return (name) => isNeverStored(name) || named.has(name);
}

/**
 * The fields that `private="…"` and `no-cache="…"` reserve for the client that asked. Those of `no-cache` could be
 * stored and validated at each use; not storing them is simpler and as correct.
 */
export function namedFields(directives: Directives): readonly string[] {
  return [...(directives.fields("private") ?? []), ...(directives.fields("no-cache") ?? [])];
}

function addedVary(headers: HeaderList, before: HeaderList): string {
  const known = new Set(listOf(before, "vary").map((name) => name.toLowerCase()));
  const added: string[] = [];
  for (const name of listOf(headers, "vary")) {
    if (known.has(name.toLowerCase())) continue;
    known.add(name.toLowerCase());
    added.push(name);
  }
  return added.join(", ");
}

type Value = HeaderList[number][1];

function isSame(before: Value | undefined, value: Value): boolean {
  if (before === undefined) return false;
  if (typeof before !== "object" || typeof value !== "object") return String(before) === String(value);
  return before.length === value.length && before.every((line, index) => line === value[index]);
}

/** A response with more tags, or longer ones, is not stored: dropping tags would make purges incomplete. */
const MAX_TAGS = 1000;
const MAX_TAG_LENGTH = 1024;

/** The tags in Cache-Tag (separated by commas) and Surrogate-Key (separated by spaces). */
export function tagsOf(headers: HeaderList): readonly string[] {
  const tags = new Set(listOf(headers, "cache-tag"));
  for (const line of linesOf(headers, "surrogate-key")) {
    for (const tag of line.split(/[ \t]+/)) if (tag !== "") tags.add(tag);
  }
  return [...tags];
}

export function hasTooManyTags(headers: HeaderList): boolean {
  const tags = tagsOf(headers);
  return tags.length > MAX_TAGS || tags.some((tag) => tag.length > MAX_TAG_LENGTH);
}
