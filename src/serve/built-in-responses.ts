import type { IncomingMessage, ServerResponse } from "node:http";
import { pathOf } from "../lib/http/target.js";
import { isHttp2 } from "../lib/request/transport.js";
import { closeAfter, dropBody, hasUnreadBody } from "../lib/response/close.js";
import { DEFAULT_LINGER_MS } from "../lib/response/send.js";
import type { ServePlan } from "./options.js";
import { lingerOnClose } from "./sockets.js";

/**
 * The response that the server sends itself, before the app: to probes, and to `OPTIONS *`, which is about the server as
 * a whole (RFC 9110 section 9.3.7). Undefined for all other requests.
 */
export function builtInResponse(
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

export function sendBuiltIn(
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
  // After a 503 the load balancer should not keep the connection. An HTTP/2 session has other requests on it.
  if ((status === 503 && !isHttp2(req)) || hasUnreadBody(req)) {
    closeAfter(req, res, DEFAULT_LINGER_MS);
    lingerOnClose(req);
  }
  res.end(body);
  dropBody(req);
}
