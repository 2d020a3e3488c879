import type { IncomingHttpHeaders } from "node:http";
import type { HeaderList } from "../lib/response/snapshot.js";
import { isThenable } from "../lib/values/thrown.js";
import { readyEntry } from "./compiled.js";
import type { Entry } from "./entry.js";
import type { FetchResult } from "./flight.js";
import { fieldOf } from "./rules/fields.js";
import { freshForMs } from "./rules/policy.js";
import { whyNotStored } from "./rules/storable.js";
import type { Exchange } from "./visit.js";

/** How long misses of a resource do not wait for one another after an answer that could not be shared. */
const HIT_FOR_MISS_MS = 10_000;
/** How long a stale answer with a validator stays in the store. */
const VALIDATOR_MS = 24 * 3_600_000;

/** Why the answer with these headers may not be stored, in one word; undefined if it may. */
export function whyNotStorable(
  exchange: Exchange,
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
  return Number(res.getHeader("content-length") ?? 0) > state.store.maxEntryBytes ? "size" : undefined;
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

/** Hit-for-miss: the next misses of this resource do not wait for one another. */
export function markHitForMiss({ state, resource }: Exchange): void {
  const fields = state.hints.get(resource)?.fields ?? "";
  state.remember(resource, fields, Date.now() + HIT_FOR_MISS_MS);
}

/** Whether the handlers no longer want stored what is stored. */
export function isWithdrawn(why: string, status: number): boolean {
  return status < 500 && !concernsRequestOnly(why);
}

/** Whether the reason concerns this request only, and not what others get. */
export function concernsRequestOnly(why: string): boolean {
  return REQUEST_REASONS.has(why);
}

const REQUEST_REASONS = new Set([
  "authorization",
  "cookie",
  "method",
  "partial",
  "request-no-store",
  "store",
]);

/** Whether it was not purged since the lookup. Asked only of stores that answer synchronously. */
export function isStillStored(exchange: Exchange): boolean {
  const again = exchange.state.store.get(exchange.key, exchange.variantOf);
  return isThenable(again) || again.entry !== undefined;
}
