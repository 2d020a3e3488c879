import type { IncomingMessage } from "node:http";
import {
  countHosts,
  DEFAULT_PORT,
  type Host,
  hostField,
  hostOf,
  parseHost,
  schemeOf,
} from "../lib/http/host.js";
import { authorityOf, targetOf } from "../lib/http/target.js";

/** Why a request's host is refused. */
export type AllowedHostsReason = "missing" | "malformed" | "repeated" | "not-listed";

/** The option `hosts`, compiled: for each name the ports that are meant, or "any". */
export interface HostList {
  readonly names: ReadonlyMap<string, Ports>;
  /** Of patterns: `.example.com`. */
  readonly suffixes: ReadonlyMap<string, Ports>;
}
export type Ports = "any" | ReadonlySet<number>;

/** Undefined: the request is for one of the hosts. */
export function decide(req: IncomingMessage, list: HostList): AllowedHostsReason | undefined {
  if (countHosts(req.rawHeaders) > 1) return "repeated"; // Node has the first in `req.headers`
  if (!isTargetsHost(req)) return "malformed";
  const text = hostOf(req);
  if (text === undefined || text === "") return "missing";
  const host = parseHost(text);
  if (host === undefined) return "malformed";
  return isListed(host, req, list) ? undefined : "not-listed";
}

/**
 * Whether the authority of an absolute-form target, which an app may read too, is that of `Host`. `serve` sets `Host` to it
 * (RFC 9112 section 3.2.2), other servers do not.
 */
function isTargetsHost(req: IncomingMessage): boolean {
  const target = targetOf(req);
  if (target.charCodeAt(0) === 0x2f /* "/" */ || target === "*") return true;
  const scheme = /^https:/i.test(target) ? "https" : "http";
  const [inTarget, inField] = [parseHost(authorityOf(target) ?? ""), parseHost(hostField(req) ?? "")];
  if (inTarget === undefined || inField === undefined || inTarget.name !== inField.name) return false;
  return (inTarget.port ?? DEFAULT_PORT[scheme]) === (inField.port ?? DEFAULT_PORT[scheme]);
}

function isListed(host: Host, req: IncomingMessage, { names, suffixes }: HostList): boolean {
  const { name } = host;
  if (isPort(names.get(name), host, req)) return true;
  if (suffixes.size === 0) return false;
  for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
    if (isPort(suffixes.get(name.slice(dot)), host, req)) return true;
  }
  return false;
}

function isPort(ports: Ports | undefined, { port }: Host, req: IncomingMessage): boolean {
  if (ports === undefined || ports === "any") return ports === "any";
  return ports.has(port ?? DEFAULT_PORT[schemeOf(req)]);
}
