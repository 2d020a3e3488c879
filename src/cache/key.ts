import type { Request } from "express";
import { targetOf } from "../lib/http/target.js";
import type { ResourceKey } from "./store.js";

/** A request's place in the cache; `undefined` if it has none. */
export function keyOf(
  req: Request,
  key: ((req: Request) => string | undefined) | undefined,
): ResourceKey | undefined {
  const sent = hostOf(req);
  const host = withoutPort(sent);
  const division = divisionOf(req, sent.length === host.length ? "" : sent.slice(host.length));
  if (key === undefined) return { host, target: withoutFragment(originForm(targetOf(req))), division };
  const own: unknown = key(req);
  if (own === undefined) return undefined;
  if (typeof own !== "string") {
    throw new TypeError(
      "the cache's option key must return a string, or undefined for a request that is not for the cache",
    );
  }
  return { host, target: own, division };
}

/**
 * What a request's target allows. `origin`: the usual form, a path. `absolute`: a whole URL that names the same host
 * as the Host field; the app sees another text than of the path alone, so its answer is not stored. `other`: the app
 * may make something else of it than the key says: another host, a fragment, userinfo.
 */
export function formOf(req: Request): "origin" | "absolute" | "other" {
  const { headers } = req;
  const authority = headers[":authority"]; // where nobody has made `Host` of it
  if (authority !== undefined && headers.host !== undefined && !isSameHost(String(authority), headers.host)) {
    return "other";
  }
  const target = targetOf(req);
  if (target.includes("#")) return "other";
  if (target.charCodeAt(0) === SLASH) return "origin";
  const absolute = ABSOLUTE.exec(target);
  if (absolute === null || absolute[2] === "" || (absolute[1]!.length === 5) !== isSecure(req))
    return "other";
  return isSameHost(absolute[2]!, hostOf(req)) ? "absolute" : "other";
}

const SLASH = 0x2f;
const ABSOLUTE = /^(https?):\/\/([^/?#]*)(.*)$/is;

/** Path and query of an absolute target (RFC 9112 section 3.2.2). */
function originForm(target: string): string {
  if (target.charCodeAt(0) === SLASH) return target;
  const path = ABSOLUTE.exec(target)?.[3] ?? target;
  return path.charCodeAt(0) === SLASH ? path : `/${path}`;
}

/** What a purge is asked for: an absolute URL, or a path on all hosts. */
export function purgeKey(url: string): { host: string | undefined; target: string } {
  const absolute = ABSOLUTE.exec(url);
  if (absolute === null) return { host: undefined, target: withoutFragment(url) };
  return { host: withoutPort(absolute[2]!.toLowerCase()), target: withoutFragment(originForm(url)) };
}

/**
 * What divides the answers of one URL whatever the handlers say about it: the scheme, a port that says nothing new,
 * and the fields of proxies, from which an app may make links, redirects and routes, whether or not Express is told to
 * trust them.
 */
function divisionOf(req: Request, port: string): string {
  const { headers } = req;
  let division = isSecure(req) ? `s${port}` : port;
  for (let i = 0; i < DIVIDING.length; i++) {
    const value = headers[DIVIDING[i]!];
    if (value !== undefined) division += `${DIVIDING[i]}=${JSON.stringify(value)}`;
  }
  return division;
}

const DIVIDING = [
  ...["forwarded", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-proto"],
  ...["x-forwarded-scheme", "x-http-method-override", "x-original-url", "x-rewrite-url"],
];

/** Without the port: the hosts that are let in are compared so. */
export function hostName(host: string): string {
  const end = host.charCodeAt(0) === 0x5b ? host.indexOf("]") + 1 : host.indexOf(":");
  return end <= 0 ? host : host.slice(0, end);
}

/** The host that the app sees, in lower case. */
function hostOf({ headers }: Request): string {
  return String(headers.host ?? headers[":authority"] ?? "").toLowerCase();
}

function isSameHost(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/**
 * Without a standard port, whichever the scheme is: a proxy may have another one than this server. So a purge reaches
 * all that may be meant.
 */
function withoutPort(host: string): string {
  return host.endsWith(":80") ? host.slice(0, -3) : host.endsWith(":443") ? host.slice(0, -4) : host;
}

function isSecure(req: Request): boolean {
  return (req.socket as { encrypted?: boolean }).encrypted === true;
}

function withoutFragment(target: string): string {
  const hash = target.indexOf("#");
  return hash === -1 ? target : target.slice(0, hash);
}
