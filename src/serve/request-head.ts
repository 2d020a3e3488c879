import type { IncomingMessage } from "node:http";
import { countHosts, isHostName } from "../lib/http/host.js";
import { authorityOf, targetFault } from "../lib/http/target.js";
import { isHttp2 } from "../lib/request/transport.js";

/** Why a request is answered with an error, although Node's parser accepts it. */
export interface HeadProblem {
  readonly status: 400 | 505;
  readonly code: string;
  readonly reason: string;
}

const WRONG_VERSION: HeadProblem = {
  status: 505,
  code: "ERR_HTTP_VERSION",
  reason: "Not a version of HTTP/1 on a connection of HTTP/1",
};
const NO_HOST: HeadProblem = { status: 400, code: "ERR_HOST_MISSING", reason: "No Host header" };
const SEVERAL_HOSTS: HeadProblem = {
  status: 400,
  code: "ERR_HOST_REPEATED",
  reason: "More than one Host header",
};

/**
 * Checks the version, `Host` and target of a request; undefined if they are valid. The authority of an absolute-form
 * target replaces `Host` (RFC 9112 section 3.2.2).
 */
export function checkHead(req: IncomingMessage): HeadProblem | undefined {
  const { method, url: target = "" } = req;
  if (isHttp2(req))
    return isPath(target) || (target === "*" && method === "OPTIONS") ? undefined : pathProblem(target);
  if (req.httpVersionMajor !== 1) return WRONG_VERSION;
  const hosts = countHosts(req.rawHeaders);
  if (hosts > 1) return SEVERAL_HOSTS;
  if (hosts === 0 && req.httpVersionMinor >= 1) return NO_HOST;
  if (isPath(target)) return undefined;
  const reason = targetFault(target, method);
  if (reason !== undefined) return { status: 400, code: "ERR_TARGET", reason };
  const authority = authorityOf(target);
  if (authority !== undefined) setHost(req, authority);
  return undefined;
}

/** The form of nearly all targets. */
function isPath(target: string): boolean {
  return target.charCodeAt(0) === 0x2f /* "/" */ && !target.includes("#");
}

function pathProblem(target: string): HeadProblem {
  const reason = targetFault(target, undefined) ?? "The :path is not a path";
  return { status: 400, code: "ERR_TARGET", reason };
}

/** Sets `Host` in each form in which Node offers headers. */
function setHost(req: IncomingMessage, authority: string): void {
  const { rawHeaders, headers, headersDistinct } = req;
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && isHostName(name));
  if (at === -1) rawHeaders.push("Host", authority);
  else rawHeaders[at + 1] = authority;
  headers.host = authority;
  headersDistinct.host = [authority];
}
