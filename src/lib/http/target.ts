import type { IncomingMessage } from "node:http";
import { peek } from "../values/thrown.js";

/** The target as the client sent it: routers rewrite `req.url`, Express keeps the first one. */
export function targetOf(req: IncomingMessage & { originalUrl?: string }): string {
  return req.originalUrl ?? req.url ?? "";
}

/**
 * The target's path, without query; the path of an absolute-form target too (RFC 9112 section 3.2). A fragment, which
 * no client should send, is left out as Express leaves it out.
 */
export function pathOf(req: IncomingMessage): string {
  const target = withoutFragment(targetOf(req));
  const from = pathStart(target);
  const query = target.indexOf("?", from);
  return target.slice(from, query === -1 ? undefined : query) || "/";
}

/** The target's query, without its question mark and without a fragment; undefined if it has none. */
export function queryOf(req: IncomingMessage): string | undefined {
  const target = withoutFragment(targetOf(req));
  const query = target.indexOf("?");
  return query === -1 ? undefined : target.slice(query + 1);
}

/** Whether a target has a fragment, which a client must not send (RFC 9112 section 3.2). */
export function hasFragment(target: string): boolean {
  return target.includes("#");
}

export function withoutFragment(target: string): string {
  const fragment = target.indexOf("#");
  return fragment === -1 ? target : target.slice(0, fragment);
}

/**
 * The authority of an absolute-form target (`http://shop.example:8080/x`), as it was sent. Undefined for other forms,
 * and for an authority that parsers read in different ways: with userinfo, percent-encoding, or an invalid port.
 */
export function authorityOf(target: string): string | undefined {
  const match = ABSOLUTE.exec(target);
  if (match === null) return undefined;
  const authority = match[1]!;
  const port = PORT.exec(authority)?.[1] ?? "";
  if (Number(port) > MAX_PORT || NO_NAME.test(authority)) return undefined;
  return URL.canParse(`http://${authority}/`) ? authority : undefined;
}

/** Only characters that are part of the host for every URL parser; `url.parse` ends a host at many others. */
const ABSOLUTE = /^https?:\/\/([\w.-]{1,253}(?::\d{0,5})?|\[[\da-f:.]{2,45}\](?::\d{0,5})?)(?:[/?]|$)/i;
const PORT = /:(\d*)$/;
const MAX_PORT = 65_535;

/** A label of Punycode that encodes nothing: `URL` accepts it from Node 24 on, and refuses it before. */
const NO_NAME = /(?:^|\.)xn--(?:[.:]|$)/i;

/**
 * Why an origin server refuses a target, as text for the log; undefined if it is valid. Not for `CONNECT`: its target is
 * only an authority.
 */
export function targetFault(target: string, method: string | undefined): string | undefined {
  if (hasFragment(target)) return "The target has a fragment";
  if (target.charCodeAt(0) === 0x2f /* "/" */) return undefined;
  if (target === "*") return method === "OPTIONS" ? undefined : "The target * is for OPTIONS only";
  return authorityOf(target) === undefined ? "The target is neither a path nor an http URL" : undefined;
}

/** The URL without the user name and password before its host. */
export function withoutUserinfo(url: string): string {
  const slashes = url.indexOf("//");
  if (slashes === -1) return url;
  const rest = url.slice(slashes + 2);
  const end = rest.search(/[/?#]/);
  const at = (end === -1 ? rest : rest.slice(0, end)).lastIndexOf("@");
  return at === -1 ? url : url.slice(0, slashes + 2) + rest.slice(at + 1);
}

function pathStart(target: string): number {
  if (target.charCodeAt(0) === 0x2f /* "/" */) return 0;
  const scheme = target.indexOf("://");
  if (scheme === -1) return 0;
  for (let i = scheme + 3; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code === 0x2f || code === 0x3f) return i;
  }
  return target.length;
}

/** The text of a URL that was given as a URL or as text. A URL of another realm (a test runner's) is a URL too. */
export function hrefOf(given: unknown): string | undefined {
  const text = typeof given === "object" ? peek(given, "href") : given;
  return typeof text === "string" ? text : undefined;
}

/**
 * The URL that a text is, or undefined. Not by `URL.canParse`: on Node 20 and 22 its optimized form refuses text with
 * characters beyond ASCII after some thousand calls.
 */
export function urlOf(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether the URL is on this machine: nothing is sent over a network. */
export function isLoopback({ hostname }: URL): boolean {
  return LOOPBACK.test(hostname);
}
