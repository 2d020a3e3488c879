import { beforeHead } from "../lib/response/head-hooks.js";
import { send } from "../lib/response/send.js";
import { isThenable } from "../lib/values/thrown.js";
import { compile } from "./compiled.js";
import type { Entry } from "./entry.js";
import { fill } from "./fill.js";
import { Flight, type Landing, waitUntil } from "./flight.js";
import { isStillStored } from "./keep.js";
import { refresh } from "./refresh.js";
import { reply } from "./reply.js";
import { cacheStatus } from "./rules/cache-status.js";
import { acceptsEncoding, isEncoded } from "./rules/encoding.js";
import { mayServeOnError, reuse } from "./rules/reuse.js";
import type { Lookup } from "./store.js";
import { addStatus, type Forwarding, type Visit } from "./visit.js";

/** Looks up an answer for the request, then serves it or fetches one from the handlers. */
export function look(visit: Visit): void {
  const found = visit.state.store.get(visit.key, visit.variantOf);
  if (isThenable(found)) found.then((lookup) => act(visit, lookup)).catch(visit.next);
  else act(visit, found);
}

function act(visit: Visit, lookup: Lookup): void {
  if (visit.isOver) return;
  const { entry } = lookup;
  if (entry === undefined) forward(visit, lookup, lookup.known ? "vary-miss" : "uri-miss");
  else if (visit.isPersonal && !compile(entry).policy.shared) {
    forward(visit, { ...lookup, entry: undefined }, "request");
  } else if (isRangeOfAnother(visit, entry)) {
    forward(visit, { ...lookup, entry: undefined }, "request");
  } else use(visit, lookup, entry);
}

/**
 * Whether a range of the stored body could differ from the range that the handlers would send. They send ranges of the
 * plain body; an outer encoder never encodes ranges, but encodes whole bodies.
 */
function isRangeOfAnother({ req, res }: Visit, { headers }: Entry): boolean {
  if (req.method !== "GET" || req.headers.range === undefined) return false;
  return isEncoded(headers) || (acceptsEncoding(req.headers) && Object.hasOwn(res, "write"));
}

function use(visit: Visit, lookup: Lookup, entry: Entry): void {
  const now = Date.now();
  const verdict = reuse(compile(entry).policy, visit.wish, now);
  const mayReply =
    verdict === "fresh" || (verdict === "stale-while-revalidate" && visit.mayFill && refresh(visit, lookup));
  if (mayReply) reply(visit, entry, now, visit.collapsed ? { fwd: "uri-miss", collapsed: true } : undefined);
  else forward(visit, lookup, verdict === "validate" ? "request" : "stale");
}

/** Fetches from the handlers, or waits for a request that does so already. */
function forward(visit: Visit, lookup: Lookup, fwd: Forwarding): void {
  const { wish, req } = visit;
  if (wish?.onlyIfCached) refuse(visit);
  else if (!visit.mayFill) passOn(visit, fwd);
  else if (req.method !== "GET" && lookup.entry !== undefined) fill(visit, lookup, fwd, undefined);
  else if (req.method !== "GET" || wish?.noStore) passOn(visit, fwd);
  else if (visit.isPersonal || req.headers.range !== undefined) fill(visit, lookup, fwd, undefined);
  else join(visit, lookup, fwd);
}

function join(visit: Visit, lookup: Lookup, fwd: Forwarding): void {
  const { state, resource } = visit;
  const habit = state.habits.get(resource);
  const place = visit.placeOf(habit?.fields ?? "");
  const flight = state.flights.get(place);
  const isApart = habit !== undefined && habit.apartUntil > Date.now();
  const isFetched = flight !== undefined && !flight.isOld;
  if (isFetched && !visit.waited) wait(visit, flight, lookup, fwd);
  else if (isFetched || isApart) {
    fill(visit, lookup, fwd, undefined);
  } else {
    fill(visit, lookup, fwd, new Flight(state.flights, place));
  }
}

function wait(visit: Visit, flight: Flight, lookup: Lookup, fwd: Forwarding): void {
  visit.waited = true;
  visit.waitUntil ??= waitUntil();
  flight.wait(visit.waitUntil, visit.variantOf, (landing) => {
    if (visit.isOver) return;
    try {
      resume(visit, lookup, fwd, landing);
    } catch (error) {
      visit.next(error);
    }
  });
}

function resume(visit: Visit, lookup: Lookup, fwd: Forwarding, landing: Landing): void {
  visit.collapsed = landing === "stored";
  // After the other results it may wait again: for another variant, or for another request that fetches this one.
  visit.waited = ENDING.has(landing);
  if (LOOKED_FOR.has(landing)) look(visit);
  else if (landing !== "failed" || !replyOnError(visit, lookup.entry)) forward(visit, lookup, fwd);
}

const ENDING: ReadonlySet<Landing> = new Set(["stored", "apart", "failed", "late"]);
/** Look up again: it was stored, or another request may have stored it during a long wait. */
const LOOKED_FOR: ReadonlySet<Landing> = new Set(["stored", "old", "late"]);

/** The handlers just failed for another request: serves the stale answer without asking them again. */
function replyOnError(visit: Visit, entry: Entry | undefined): boolean {
  const now = Date.now();
  if (entry === undefined || !mayServeOnError(compile(entry).policy, now) || !isStillStored(visit))
    return false;
  reply(visit, entry, now, { fwd: "stale", collapsed: true, detail: "stale-if-error" });
  return true;
}

/** Answers `only-if-cached` when nothing is stored (RFC 9111 section 5.2.1.7). */
function refuse(visit: Visit): void {
  const { req, res, state } = visit;
  visit.count("miss");
  addStatus(res, cacheStatus(state.plan.name, { fwd: "bypass", detail: "only-if-cached" }));
  send(req, res, 504, undefined, "");
}

function passOn(visit: Visit, fwd: Forwarding): void {
  visit.state.passed.add(visit.req);
  visit.count("miss");
  beforeHead(visit.res, addStatus, cacheStatus(visit.state.plan.name, { fwd }));
  visit.next();
}
