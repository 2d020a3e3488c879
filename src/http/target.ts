import type { IncomingMessage } from "node:http";

/** The target as the client sent it: routers rewrite `req.url`, Express keeps the first one. */
export function targetOf(req: IncomingMessage & { originalUrl?: string }): string {
  return req.originalUrl ?? req.url ?? "";
}

/** The target's path, without query; the path of an absolute-form target too (RFC 9112 section 3.2). */
export function pathOf(req: IncomingMessage): string {
  const target = targetOf(req);
  const from = pathStart(target);
  const query = target.indexOf("?", from);
  return target.slice(from, query === -1 ? undefined : query) || "/";
}

/** The target's query, without its question mark; undefined if it has none. */
export function queryOf(req: IncomingMessage): string | undefined {
  const target = targetOf(req);
  const query = target.indexOf("?");
  return query === -1 ? undefined : target.slice(query + 1);
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
