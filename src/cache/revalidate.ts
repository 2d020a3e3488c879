import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import type { Application } from "express";
import { appsAround } from "../lib/express/app.js";
import { pathOf, targetOf } from "../lib/http/target.js";
import { runOutside } from "../lib/request/scope.js";
import { stateOf } from "../lib/request/state.js";
import { register } from "../lib/request/tasks.js";
import { peek } from "../lib/values/thrown.js";
import { words } from "../lib/values/words.js";
import type { CacheState, Exchange } from "./state.js";
import type { Lookup } from "./stores/cache-store.js";

/** A revalidation that takes longer is aborted. */
const REVALIDATION_MS = 30_000;

const revalidations = new WeakMap<IncomingMessage, { readonly state: CacheState; readonly lookup: Lookup }>();

/** For an internal request of this cache: the lookup that it revalidates. */
export function revalidationOf(req: IncomingMessage, state: CacheState): Lookup | undefined {
  const found = revalidations.get(req);
  return found?.state === state ? found.lookup : undefined;
}

/**
 * Revalidates a stale answer in the background while it is sent. Express cannot run a handler twice for one request, so
 * the app gets an internal request: one at a time for each answer, with a pause after a failure. Returns false if there
 * is no app to ask.
 */
export function revalidate(exchange: Exchange, lookup: Lookup): boolean {
  const { state, req } = exchange;
  const app = appsAround(req.app).at(-1) as Application | undefined;
  if (app === undefined || stateOf(req).internal) return false;
  const variantKey = exchange.variantKeyOf(state.hints.get(exchange.resource)?.fields ?? "");
  if (state.revalidating.has(variantKey) || !state.backOff.mayTry(variantKey)) return true;
  state.revalidating.add(variantKey);
  const controller = new AbortController();
  const ended = register({ name: `cache revalidation of ${pathOf(req)}`, controller });
  const internal = internalRequest(req, targetOf(req), headersFor(exchange));
  revalidations.set(internal.req, { state, lookup });
  const timer = setTimeout(internal.abort, REVALIDATION_MS);
  timer.unref();
  controller.signal.addEventListener("abort", internal.abort, { once: true });
  internal.ended.then(() => {
    clearTimeout(timer);
    state.revalidating.delete(variantKey);
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
const NOT_COPIED = new Set(
  words(
    "cache-control connection content-length expect if-modified-since if-none-match if-range keep-alive",
    "pragma range te traceparent tracestate transfer-encoding upgrade x-request-id",
  ),
);

function headersFor({ req, key }: Exchange): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(req.headers)) {
    if (!NOT_COPIED.has(name) && !name.startsWith(":")) headers[name] = value;
  }
  headers.host ??= String(req.headers[":authority"] ?? key.host);
  return headers;
}

/** What an app sees of a client's connection. */
const ADDRESSES = words("remoteAddress remotePort localAddress localPort encrypted remoteFamily");

/** The socket of an internal request: drops what is written to it, and has the addresses of a client's connection. */
class NullSocket extends Duplex {
  constructor(clientSocket: object) {
    super({ autoDestroy: false });
    for (const name of ADDRESSES) Object.assign(this, { [name]: peek(clientSocket, name) });
    for (const name of words("setTimeout setNoDelay setKeepAlive ref unref")) {
      Object.assign(this, { [name]: () => this });
    }
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done();
  }

  address(): object {
    return {};
  }
  /** As for a client without a certificate. */
  getPeerCertificate(): object {
    return {};
  }
  destroySoon(): void {
    this.destroy();
  }
  resetAndDestroy(): this {
    return this.destroy();
  }
}

export interface InternalRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Resolves when the response has ended, whole or not. */
  readonly ended: Promise<void>;
  /** Ends it as if its client had left. */
  readonly abort: () => void;
}

/**
 * A GET for the app that no client has sent. The app answers it like the request of a client; its socket drops the answer,
 * and has the addresses of the request `like`. Its request state says that it is internal.
 */
export function internalRequest(
  like: IncomingMessage,
  url: string,
  headers: IncomingHttpHeaders,
): InternalRequest {
  const http = process.getBuiltinModule("node:http");
  const socket = new NullSocket(like.socket ?? {});
  const req = new http.IncomingMessage(socket as never);
  req.method = "GET";
  req.url = url;
  req.httpVersion = "1.1";
  req.httpVersionMajor = 1;
  req.httpVersionMinor = 1;
  req.headers = headers;
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [String(value)]) req.rawHeaders.push(name, one);
  }
  req.complete = true;
  req.push(null);
  stateOf(req).internal = true;

  const res = new http.ServerResponse(req);
  res.assignSocket(socket as never);
  const ended = new Promise<void>((resolve) => res.once("close", resolve));
  res.once("finish", () => {
    res.detachSocket(socket as never);
    process.nextTick(close, res);
    socket.destroy();
  });
  res.once("close", () => {
    req.once("end", () => req.destroy());
    req.resume();
  });
  return { req, res, ended, abort: () => void socket.destroy() };
}

/** Closes the response as Node's server does. If the socket was destroyed before, Node has already done it. */
function close(res: ServerResponse & { _closed?: boolean }): void {
  if (res._closed) return;
  res._closed = true;
  res.destroyed = true;
  res.emit("close");
}
