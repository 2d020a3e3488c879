import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Chunk } from "../lib/response/interceptor.js";
import type { HeaderList } from "../lib/response/snapshot.js";
import { isThenable } from "../lib/values/thrown.js";
import { words } from "../lib/values/words.js";
import type { FetchResult } from "./coalesce.js";
import { varyFieldsOf } from "./key.js";
import { fieldOf } from "./rules/fields.js";
import { freshForMs } from "./rules/freshness.js";
import { whyNotStored } from "./rules/storable.js";
import { storedHeaders, tagsOf, updatedHeaders } from "./rules/stored-headers.js";
import { readyEntry } from "./serve.js";
import type { Exchange } from "./state.js";
import type { Entry, Lookup } from "./stores/cache-store.js";

/** How long misses of a resource do not wait for one another after an answer that could not be shared. */
const HIT_FOR_MISS_MS = 10_000;
/** How long a stale answer with a validator stays in the store. */
const VALIDATOR_MS = 24 * 3_600_000;

/** Why the answer with these headers may not be stored, in one word; undefined if it may. */
export function whyNotStoredHere(
  exchange: Exchange,
  { isDown }: Lookup,
  status: number,
  headers: HeaderList,
  before: HeaderList,
): string | undefined {
  const { req, res, state } = exchange;
  const { cookies, requestDirectives } = state.plan;
  const why = whyNotStored(
    { method: req.method, headers: exchange.isAuthenticated ? withAuthorization(req.headers) : req.headers },
    { status, headers },
    { cookies, requestDirectives },
  );
  if (why !== undefined) return why;
  if (hasAppended(headers, before)) return "appended";
  if (Number(res.getHeader("content-length") ?? 0) > state.store.maxEntryBytes) return "size";
  return isDown === true || state.store.isDown === true ? "store" : undefined;
}

/** Whether the handlers have appended to a header of outer middleware (Link), which may be for this request alone. */
function hasAppended(headers: HeaderList, before: HeaderList): boolean {
  return before.some(([name, outer]) => {
    const lower = name.toLowerCase();
    if (lower === "vary" || lower === "cache-status" || String(outer) === "") return false;
    const now = fieldOf(headers, lower);
    const then = fieldOf(before, lower);
    return now !== undefined && then !== undefined && now !== then && now.startsWith(`${then},`);
  });
}

/** Treats any authenticated request as if it had Authorization. */
function withAuthorization(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers.authorization === undefined ? { ...headers, authorization: "-" } : headers;
}

/** An answer that is being collected while it is sent. */
export class PendingEntry {
  /** The Vary fields of the answer, also those of outer middleware: its part of the answer depends on them. */
  readonly fields: string;
  /** The bytes so far. */
  size = 0;
  private readonly head: Omit<Entry, "body">;
  private readonly chunks: Buffer[] = [];
  /** The Content-Length that the handler has set, or infinity. */
  private readonly declared: number;

  constructor(head: Omit<Entry, "body" | "headers" | "tags">, all: HeaderList, before: HeaderList) {
    const headers = storedHeaders(all, before);
    this.head = { ...head, headers, tags: tagsOf(headers) };
    this.fields = varyFieldsOf(all);
    const length = fieldOf(all, "content-length");
    this.declared = length !== undefined && /^\d+$/.test(length) ? Number(length) : Number.POSITIVE_INFINITY;
  }

  /**
   * Adds a copy, as the app may reuse its buffer, and returns it. Bytes beyond the declared length are dropped: a client
   * would take them for the next response.
   */
  add(chunk: Chunk, encoding: BufferEncoding | undefined): Buffer {
    const copy = typeof chunk === "string" ? Buffer.from(chunk, encoding) : Buffer.from(chunk);
    const bytes = copy.subarray(0, this.declared - this.size);
    this.size += bytes.length;
    this.chunks.push(bytes);
    return bytes;
  }

  /** The entry; undefined if the body is not whole. */
  entry(): Entry | undefined {
    const { chunks, declared, size } = this;
    if (Number.isFinite(declared) && declared !== size) return undefined;
    return { ...this.head, body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size) };
  }
}

/** The stored entry after a 304 of the handlers. */
export function updatedEntry(
  entry: Entry,
  from304: HeaderList,
  before: HeaderList,
  requestedAt: number,
  respondedAt: number,
): Entry {
  const headers = updatedHeaders(entry.headers, storedHeaders(from304, before));
  return { ...entry, headers, tags: tagsOf(headers), requestedAt, respondedAt };
}

/** Stores the answer as a variant under these Vary fields. Returns the result for the requests that wait for it. */
export function storeEntry(
  exchange: Exchange,
  entry: Entry,
  fields: string,
  version: number,
): FetchResult | Promise<FetchResult> {
  const { state, key, resource } = exchange;
  const { policy } = readyEntry(entry);
  const now = Date.now();
  const fresh = freshForMs(policy, now);
  const isShared = fresh > 0 && !policy.noCache;
  state.remember(resource, fields, isShared ? 0 : now + HIT_FOR_MISS_MS);
  const isValidated = policy.etag !== undefined || policy.lastModified !== undefined;
  const stale = Math.max(
    policy.staleWhileRevalidateMs,
    policy.staleIfErrorMs,
    isValidated ? VALIDATOR_MS : 0,
  );
  const result = isShared ? "stored" : "hit-for-miss";
  const keepMs = Math.max(0, fresh) + stale;
  const done = state.store.put(key, fields, exchange.variantOf(fields), entry, version, keepMs);
  return done === undefined
    ? result
    : done.then(
        () => result,
        () => "hit-for-miss",
      );
}

/** Hit-for-miss: the next misses of this resource do not wait for one another, unless `why` concerns this one only. */
export function markHitForMiss({ state, resource }: Exchange, why: string | undefined): void {
  if (why !== undefined && REQUEST_REASONS.has(why)) return;
  const fields = state.hints.get(resource)?.fields ?? "";
  state.remember(resource, fields, Date.now() + HIT_FOR_MISS_MS);
}

/** Whether the handlers have withdrawn what is stored, by answering with something that may not be stored. */
export function isWithdrawn(why: string, status: number): boolean {
  return status < 500 && !REQUEST_REASONS.has(why);
}

/** These reasons concern one request only, and not what others get. */
const REQUEST_REASONS = new Set(words("authorization cookie method partial request-no-store store"));

/** Whether the entry of the lookup is still in the store. True for a store that answers asynchronously: nothing waits for it. */
export function isStillStored(exchange: Exchange): boolean {
  const again = exchange.state.store.get(exchange.key, exchange.variantOf);
  return isThenable(again) || again.entry !== undefined;
}

/** Whether the answer is for one visitor: it has a cookie. An outer session sets one only when the head is written. */
export function setsCookie({ res, state }: Exchange): boolean {
  return !state.plan.cookies && res.hasHeader("set-cookie");
}

type Method = (name: string, ...values: unknown[]) => unknown;

/**
 * Runs `write`, which writes the head through outer middleware, and calls `onCookie` if one of these sets a cookie
 * before the head is made. A session does so by a hook of its own; watching the methods is the only way to see it.
 */
export function watchCookies(res: ServerResponse, onCookie: () => void, write: () => void): void {
  let isWatching = true;
  const restores = (["setHeader", "appendHeader"] as const).map((name) => {
    const isOwn = Object.hasOwn(res, name);
    const method = res[name] as unknown as Method;
    const watched: Method = function (this: ServerResponse, header, ...values) {
      if (isWatching && String(header).toLowerCase() === "set-cookie") {
        isWatching = false;
        onCookie();
      }
      return method.call(this, header, ...values);
    };
    Object.assign(res, { [name]: watched });
    return () => {
      if ((res[name] as unknown) !== watched) return; // patched by others meanwhile, who still call it
      if (isOwn) Object.assign(res, { [name]: method });
      else Reflect.deleteProperty(res, name);
    };
  });
  try {
    write();
  } finally {
    isWatching = false;
    for (const restore of restores) restore();
  }
}
