import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Application } from "express";
import { appsAround } from "../lib/express/app.js";
import { pathOf, targetOf } from "../lib/http/target.js";
import { runOutside } from "../lib/request/scope.js";
import { stateOf } from "../lib/request/state.js";
import { register } from "../lib/request/tasks.js";
import { internalRequest } from "./internal-request.js";
import type { CacheState } from "./state.js";
import type { Lookup } from "./store.js";
import type { Exchange } from "./visit.js";

/** A refresh that takes longer is aborted. */
const REFRESH_MS = 30_000;

const refreshes = new WeakMap<IncomingMessage, { readonly state: CacheState; readonly lookup: Lookup }>();

/** The lookup that this request refreshes, if it is a refresh by this cache. */
export function refreshOf(req: IncomingMessage, state: CacheState): Lookup | undefined {
  const found = refreshes.get(req);
  return found?.state === state ? found.lookup : undefined;
}

/**
 * Refreshes a stale answer in the background while it is sent. Express cannot run a handler twice for one request, so
 * the app gets an internal request: one at a time for each answer, with a pause after a failure. Returns false if there
 * is no app to ask.
 */
export function refresh(exchange: Exchange, lookup: Lookup): boolean {
  const { state, req } = exchange;
  const app = appsAround(req.app).at(-1) as Application | undefined;
  if (app === undefined || stateOf(req).internal) return false;
  const variantKey = exchange.variantKeyOf(state.hints.get(exchange.resource)?.fields ?? "");
  if (state.refreshing.has(variantKey) || !state.backOff.mayTry(variantKey)) return true;
  state.refreshing.add(variantKey);
  const controller = new AbortController();
  const ended = register({ name: `cache refresh of ${pathOf(req)}`, controller });
  const internal = internalRequest(req, targetOf(req), headersFor(exchange));
  refreshes.set(internal.req, { state, lookup });
  const timer = setTimeout(internal.abort, REFRESH_MS);
  timer.unref();
  controller.signal.addEventListener("abort", internal.abort, { once: true });
  internal.ended.then(() => {
    clearTimeout(timer);
    state.refreshing.delete(variantKey);
    if (internal.res.writableFinished && internal.res.statusCode < 500) state.backOff.succeeded(variantKey);
    else state.backOff.failed(variantKey);
    ended();
  });
  // The stale answer is sent first.
  setImmediate(() =>
    runOutside(() => {
      try {
        app(internal.req as never, internal.res as never);
      } catch {
        internal.abort();
      }
    }),
  );
  return true;
}

/** Not copied from the client's request: its directives and conditions, its connection, its ids in the log. */
const NOT_COPIED = new Set([
  "cache-control",
  "connection",
  "content-length",
  "expect",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "keep-alive",
  "pragma",
  "range",
  "te",
  "traceparent",
  "tracestate",
  "transfer-encoding",
  "upgrade",
  "x-request-id",
]);

function headersFor({ req, key }: Exchange): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(req.headers)) {
    if (!NOT_COPIED.has(name) && !name.startsWith(":")) headers[name] = value;
  }
  headers.host ??= String(req.headers[":authority"] ?? key.host);
  return headers;
}
