import type { Request } from "express";
import { targetOf } from "../http/target.js";
import type { ResourceKey } from "./store.js";

/** A request's place in the cache; `undefined` if it has none. */
export function keyOf(
  req: Request,
  key: ((req: Request) => string | undefined) | undefined,
): ResourceKey | undefined {
  const target = targetOf(req);
  // An absolute target counts for more than the Host field (RFC 9112 section 3.2.2).
  const absolute = target.charCodeAt(0) === 0x2f ? null : ABSOLUTE.exec(target);
  const host = normalHost(absolute?.[1] ?? req.headers.host ?? "", isSecure(req));
  const division = divisionOf(req);
  if (key === undefined) {
    return { host, target: withoutFragment(absolute === null ? target : absolute[2] || "/"), division };
  }
  const own: unknown = key(req);
  if (own === undefined) return undefined;
  if (typeof own !== "string") {
    throw new TypeError(
      "the cache's option key must return a string, or undefined for a request that is not for the cache",
    );
  }
  return { host, target: own, division };
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/is;

/** What a purge is asked for: an absolute URL, or a path on all hosts. */
export function purgeKey(url: string): { host: string | undefined; target: string } {
  const absolute = ABSOLUTE.exec(url);
  if (absolute === null) return { host: undefined, target: withoutFragment(url) };
  const secure = url.charCodeAt(4) === 0x73 || url.charCodeAt(4) === 0x53;
  return { host: normalHost(absolute[1]!, secure), target: withoutFragment(absolute[2] || "/") };
}

/**
 * What divides the answers of one URL whatever the handlers say about it: the scheme, and the proxies' fields, from
 * which an app may make links and redirects, whether or not Express is told to trust them.
 */
function divisionOf(req: Request): string {
  const { headers } = req;
  const host = headers["x-forwarded-host"];
  const proto = headers["x-forwarded-proto"];
  const scheme = isSecure(req) ? "s" : "";
  if (host === undefined && proto === undefined && headers.forwarded === undefined) return scheme;
  return `${scheme}${JSON.stringify([host ?? null, proto ?? null, headers.forwarded ?? null])}`;
}

/** Without the port: the hosts that are let in are compared so. */
export function hostName(host: string): string {
  const end = host.charCodeAt(0) === 0x5b ? host.indexOf("]") + 1 : host.indexOf(":");
  return end <= 0 ? host : host.slice(0, end);
}

/** A port that says nothing new is left out, as `new URL` leaves it out. */
function normalHost(host: string, secure: boolean): string {
  const lower = host.toLowerCase();
  const standard = secure ? ":443" : ":80";
  return lower.endsWith(standard) ? lower.slice(0, -standard.length) : lower;
}

function isSecure(req: Request): boolean {
  return (req.socket as { encrypted?: boolean }).encrypted === true;
}

function withoutFragment(target: string): string {
  const hash = target.indexOf("#");
  return hash === -1 ? target : target.slice(0, hash);
}
