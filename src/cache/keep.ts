import type { IncomingHttpHeaders } from "node:http";
import type { HeaderList } from "../lib/response/snapshot.js";
import { isThenable } from "../lib/values/thrown.js";
import { compile } from "./compiled.js";
import type { Entry } from "./entry.js";
import type { Landing } from "./flight.js";
import { fieldOf } from "./rules/fields.js";
import { freshForMs } from "./rules/policy.js";
import { whyNotStored } from "./rules/storable.js";
import type { Visit } from "./visit.js";

/** How long misses of a resource do not wait for one another after an answer that could not be shared. */
const APART_MS = 10_000;
/** How long a stale answer with a validator stays in the store. */
const VALIDATOR_MS = 24 * 3_600_000;

/** Why the answer with these headers may not be stored, in one word; undefined if it may. */
export function whyNotKept(
  visit: Visit,
  status: number,
  headers: HeaderList,
  before: HeaderList,
): string | undefined {
  const { req, res, state } = visit;
  const { cookies, requestDirectives } = state.plan;
  const why = whyNotStored(
    { method: req.method, headers: visit.isPersonal ? personal(req.headers) : req.headers },
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
function personal(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers.authorization === undefined ? { ...headers, authorization: "-" } : headers;
}

/** Stores the answer as a variant under these Vary fields. Returns the result for the requests that wait for it. */
export function keep(visit: Visit, entry: Entry, fields: string, stamp: number): Landing | Promise<Landing> {
  const { state, key, resource } = visit;
  const { policy } = compile(entry);
  const now = Date.now();
  const fresh = freshForMs(policy, now);
  const isShared = fresh > 0 && !policy.noCache;
  state.remember(resource, fields, isShared ? 0 : now + APART_MS);
  const isValidated = policy.etag !== undefined || policy.lastModified !== undefined;
  const stale = Math.max(
    policy.staleWhileRevalidateMs,
    policy.staleIfErrorMs,
    isValidated ? VALIDATOR_MS : 0,
  );
  const landing = isShared ? "stored" : "apart";
  const keepMs = Math.max(0, fresh) + stale;
  const done = state.store.put(key, fields, visit.variantOf(fields), entry, stamp, keepMs);
  return done === undefined
    ? landing
    : done.then(
        () => landing,
        () => "apart",
      );
}

/** Hit-for-miss: the next misses of this resource do not wait for one another. */
export function setApart({ state, resource }: Visit): void {
  const fields = state.habits.get(resource)?.fields ?? "";
  state.remember(resource, fields, Date.now() + APART_MS);
}

/** Whether the handlers no longer want stored what is stored. */
export function isChangeOfMind(why: string, status: number): boolean {
  return status < 500 && !isOfTheRequest(why);
}

/** Whether the reason concerns this request only, and not what others get. */
export function isOfTheRequest(why: string): boolean {
  return OF_THE_REQUEST.has(why);
}

const OF_THE_REQUEST = new Set(["authorization", "cookie", "method", "partial", "request-no-store", "store"]);

/** Whether it was not purged since the lookup. Asked only of stores that answer synchronously. */
export function isStillStored(visit: Visit): boolean {
  const again = visit.state.store.get(visit.key, visit.variantOf);
  return isThenable(again) || again.entry !== undefined;
}
