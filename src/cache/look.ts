import { beforeHead } from "../lib/response/hooks.js";
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

/** Looks the request's answer up, and acts on what is found. */
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
 * Whether a part of the stored body may be a part of another text than the handlers would give: they give parts of
 * the plain body, and of what an encoder on the way out makes of a whole body there is no part.
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

/** The handlers are asked, by this request or by one that asks them already. */
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
  // The others leave something to wait for: another answer, or another one that fetches this.
  visit.waited = ENDING.has(landing);
  if (LOOKED_FOR.has(landing)) look(visit);
  else if (landing !== "failed" || !replyOnError(visit, lookup.entry)) forward(visit, lookup, fwd);
}

const ENDING: ReadonlySet<Landing> = new Set(["stored", "apart", "failed", "late"]);
/** After a long wait another one may have stored it. */
const LOOKED_FOR: ReadonlySet<Landing> = new Set(["stored", "old", "late"]);

/** The handlers have just failed for somebody else: they need not be asked again to give the old answer. */
function replyOnError(visit: Visit, entry: Entry | undefined): boolean {
  const now = Date.now();
  if (entry === undefined || !mayServeOnError(compile(entry).policy, now) || !isStillStored(visit))
    return false;
  reply(visit, entry, now, { fwd: "stale", collapsed: true, detail: "stale-if-error" });
  return true;
}

/** To a client that wants a stored answer or none (RFC 9111 section 5.2.1.7). */
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
