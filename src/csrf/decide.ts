import type { IncomingMessage } from "node:http";
import { DEFAULT_PORT, hostOf, parseHost } from "../lib/http/host.js";
import { urlOf } from "../lib/http/target.js";
import { knownState } from "../lib/request/state.js";

/** Why a request is refused: the header that decided. */
export type CsrfReason = "sec-fetch-site" | "origin" | "origin-null";

/** Methods that change nothing (RFC 9110 section 9.2.1, and QUERY). TRACE and unknown methods are checked. */
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "QUERY"]);

/**
 * Returns why the request is refused, or undefined if it may pass. The rules are those of Go's
 * `http.CrossOriginProtection`; the first that matches decides.
 *
 * @param trusted origins that may send requests that change something
 */
export function decide(req: IncomingMessage, trusted: ReadonlySet<string>): CsrfReason | undefined {
  if (isSafe(req)) return undefined;
  const { origin, "sec-fetch-site": site } = req.headers;
  if (origin !== undefined && trusted.has(origin)) return undefined;
  if (site !== undefined) return site === "same-origin" || site === "none" ? undefined : "sec-fetch-site";
  if (origin === undefined) return undefined; // no browser
  if (origin === "null") return "origin-null";
  return isOwnOrigin(origin, req) ? undefined : "origin";
}

/**
 * Whether the current method and the one that the client sent are both safe: a method override must not turn a POST into a
 * GET that is not checked. `serve` and `requestContext` save the sent method in the request state, method-override saves it
 * in `req.originalMethod`.
 */
function isSafe(req: IncomingMessage & { originalMethod?: unknown }): boolean {
  const sent = knownState(req)?.method ?? req.method;
  return SAFE.has(req.method!) && SAFE.has(sent!) && SAFE.has((req.originalMethod ?? sent) as string);
}

/**
 * Whether the host of the origin is the one that the request was sent to. Schemes are not compared: behind a proxy that
 * ends TLS the app may not know its own.
 */
function isOwnOrigin(origin: string, req: IncomingMessage): boolean {
  const match = /^(https?):\/\/([^/?#@]*)$/.exec(origin);
  const originHost = match === null || urlOf(origin) === undefined ? undefined : parseHost(match[2]!);
  const ownHost = parseHost(hostOf(req) ?? "");
  if (originHost === undefined || ownHost === undefined || originHost.name !== ownHost.name) return false;
  const standard = DEFAULT_PORT[match![1] as "http" | "https"];
  return (originHost.port ?? standard) === (ownHost.port ?? standard);
}
