import type { IncomingMessage, ServerResponse } from "node:http";
import { pathOf } from "../lib/http/target.js";
import { isHttp2 } from "../lib/request/transport.js";
import { closeAfter, dropBody, hasUnreadBody } from "../lib/response/close.js";
import { DEFAULT_LINGER_MS } from "../lib/response/send.js";
import { lingerAfter } from "./linger.js";
import type { ServePlan } from "./options.js";

/**
 * What the server answers itself, before the app: its probes, and `OPTIONS *`, which asks about the server as a whole
 * (RFC 9110 section 9.3.7). Undefined if the request is the app's.
 */
export function ownAnswer(
  req: IncomingMessage,
  { live, ready }: ServePlan["probes"],
  isDraining: () => boolean,
): { readonly status: number; readonly body: string } | undefined {
  const { method } = req;
  if (method === "OPTIONS" && req.url === "*") return { status: 200, body: "" };
  if (live === undefined && ready === undefined) return undefined;
  if (method !== "GET" && method !== "HEAD") return undefined;
  const path = pathOf(req);
  if (path === live) return { status: 200, body: "ok\n" };
  if (path === ready)
    return isDraining() ? { status: 503, body: "draining\n" } : { status: 200, body: "ok\n" };
  return undefined;
}

export function sendOwn(
  req: IncomingMessage,
  res: ServerResponse,
  { status, body }: { readonly status: number; readonly body: string },
): void {
  res.statusCode = status;
  res.setHeader("Content-Length", body.length);
  if (body !== "") {
    res.setHeader("Content-Type", "text/plain; charset=utf-8");
    res.setHeader("Cache-Control", "no-store");
  }
  // "No" ends the connection, so that nobody keeps it for later. A session of HTTP/2 has other requests on it.
  if ((status === 503 && !isHttp2(req)) || hasUnreadBody(req)) {
    closeAfter(req, res, DEFAULT_LINGER_MS);
    lingerAfter(req);
  }
  res.end(body);
  dropBody(req);
}
