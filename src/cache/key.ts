import type { IncomingHttpHeaders } from "node:http";
import type { Request } from "express";
import { hasFragment, targetOf, withoutFragment } from "../lib/http/target.js";
import { tokenList, trimOws } from "../lib/http/tokens.js";
import type { HeaderList } from "../lib/response/snapshot.js";
import { words } from "../lib/values/words.js";
import { fieldOf, linesOf } from "./rules/fields.js";

/** The key of an answer. All variants and partitions of one host and target are purged together. */
export interface ResourceKey {
  /** In lower case, with its port if that is not a standard one. */
  readonly host: string;
  /** Path and query as the client sent them, or what the option `key` returned. */
  readonly target: string;
  /**
   * Separates answers of one resource by the scheme and by what proxies say of the request. Empty for most requests.
   */
  readonly partition: string;
}

/**
 * The variant that a request gets under a list of Vary fields (lower-case, sorted, joined by ","; "" for none). Two
 * requests with an equal variant may share one answer.
 */
export type VariantOf = (fields: string) => string;

/** The key of a request; `undefined` if the option `key` returns undefined. */
export function keyOf(
  req: Request,
  key: ((req: Request) => string | undefined) | undefined,
): ResourceKey | undefined {
  const sent = hostOf(req);
  const host = withoutPort(sent);
  const partition = partitionOf(req, sent.length === host.length ? "" : sent.slice(host.length));
  if (key === undefined) return { host, target: withoutFragment(originForm(targetOf(req))), partition };
  const own: unknown = key(req);
  if (own === undefined) return undefined;
  if (typeof own !== "string") {
    throw new TypeError(
      "cache(): the option key must return a string, or undefined for a request that bypasses the cache",
    );
  }
  return { host, target: own, partition };
}

/**
 * The form of a request's target.
 *
 * - `origin`: a path, the usual form
 * - `absolute`: a whole URL with the host of the Host field. It is served what is stored, but its answer is not stored:
 *   the app sees another `req.url` than for the path.
 * - `other`: the app may read another resource from it than the key names: it has another host, a fragment, userinfo
 */
export type TargetForm = "origin" | "absolute" | "other";

export function formOf(req: Request): TargetForm {
  const { headers } = req;
  const authority = headers[":authority"]; // HTTP/2 without `serve`, which sets Host from it
  if (authority !== undefined && headers.host !== undefined && !isSameHost(String(authority), headers.host)) {
    return "other";
  }
  const target = targetOf(req);
  if (hasFragment(target)) return "other";
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

/** The resource that a purge names: an absolute URL, or a path on all hosts. */
export function purgeKey(url: string): { host: string | undefined; target: string } {
  const absolute = ABSOLUTE.exec(url);
  if (absolute === null) return { host: undefined, target: withoutFragment(url) };
  return { host: withoutPort(absolute[2]!.toLowerCase()), target: withoutFragment(originForm(url)) };
}

/**
 * Separates the answers of one URL, whatever their Vary says: by the scheme, a standard port in Host, and the fields of
 * proxies. An app may make links, redirects and routes from these, whether or not Express trusts the proxy.
 */
function partitionOf(req: Request, port: string): string {
  const { headers } = req;
  let partition = isSecure(req) ? `s${port}` : port;
  for (let i = 0; i < PARTITION_FIELDS.length; i++) {
    const value = headers[PARTITION_FIELDS[i]!];
    if (value !== undefined) partition += `${PARTITION_FIELDS[i]}=${JSON.stringify(value)}`;
  }
  return partition;
}

const PARTITION_FIELDS = [
  ...["forwarded", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-proto"],
  ...["x-forwarded-scheme", "x-http-method-override", "x-original-url", "x-rewrite-url"],
];

/** The host without its port, as the option `hosts` compares it. */
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
 * Without a standard port, whatever the scheme is: a proxy may use another scheme than this server, and a purge must
 * reach both.
 */
function withoutPort(host: string): string {
  return host.endsWith(":80") ? host.slice(0, -3) : host.endsWith(":443") ? host.slice(0, -4) : host;
}

function isSecure(req: Request): boolean {
  return (req.socket as { encrypted?: boolean }).encrypted === true;
}

/** Fields in which a comma does not separate, or white space has a meaning: their values are compared as they are. */
const NEVER_NORMALISED: ReadonlySet<string> = new Set(
  words(
    "authorization cookie date from host if-modified-since if-unmodified-since if-range origin",
    "proxy-authorization referer user-agent",
  ),
);

/** Fields with values that are compared without case (RFC 9110 sections 12.5.2 to 12.5.4). */
const CASELESS: ReadonlySet<string> = new Set(["accept-charset", "accept-encoding", "accept-language"]);

/**
 * The request's values of the Vary fields as one text (RFC 9111 section 4.1). Equal for two requests only if each field
 * is absent in both, or means the same in both. `fields` as `varyFieldsOf` returns them.
 */
export function variantOf(headers: IncomingHttpHeaders, fields: string): string {
  if (fields === "") return "";
  let variant = "";
  for (const name of fields.split(",")) {
    const found: unknown = headers[name]; // for a field named "constructor", a function
    const value = Array.isArray(found) ? found.join(",") : found;
    if (typeof value !== "string") {
      variant += "-";
      continue;
    }
    const normal = normalise(name, value);
    variant += `${normal.length}:${normal}`;
  }
  return variant;
}

function normalise(name: string, value: string): string {
  const cased = CASELESS.has(name) ? value.toLowerCase() : value;
  if (!hasSpace(cased) || NEVER_NORMALISED.has(name)) return cased;
  // White space is part of strings and comments.
  if (cased.includes('"') || cased.includes("(")) return cased;
  const usual = cased.replaceAll(", ", ",");
  return hasSpace(usual)
    ? cased
        .split(",")
        .map((element) => trimOws(element))
        .join(",")
    : usual;
}

function hasSpace(value: string): boolean {
  return value.includes(" ") || value.includes("\t");
}

/** A Vary with more fields counts as "*". */
const MAX_FIELDS = 64;

/**
 * The Vary fields of a response: in lower case, sorted, without repeats, joined by ","; "" if there are none, "*" if
 * they cannot be known. A response that allows one origin varies by Origin, even if Vary does not say so.
 */
export function varyFieldsOf(headers: HeaderList): string {
  const lines = linesOf(headers, "vary");
  const allowed = fieldOf(headers, "access-control-allow-origin");
  const byOrigin = allowed !== undefined && allowed !== "*";
  if (lines.length === 0) return byOrigin ? "origin" : "";
  const fields = tokenList(lines.join(","), { elements: MAX_FIELDS, empty: MAX_FIELDS });
  if (fields === undefined || fields.includes("*")) return "*";
  const names = new Set(fields.map((field) => field.toLowerCase()));
  if (byOrigin) names.add("origin");
  return [...names].sort().join(",");
}
