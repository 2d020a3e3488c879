import type { IncomingMessage, ServerResponse } from "node:http";
import { bodyIsFar, closeAfter, dropBody } from "../http/connection.js";
import type { ServePlan } from "./options.js";

const LINGER_MS = 500;

/**
 * What the server answers itself, before the app: its probes, and `OPTIONS *`, which asks about the server as a whole
 * (RFC 9110 section 9.3.7). Undefined if the request is the app's.
 */
export function ownAnswer(
  { method, url = "" }: IncomingMessage,
  { live, ready }: ServePlan["probes"],
  isDraining: boolean,
): { readonly status: number; readonly body: string } | undefined {
  if (method === "OPTIONS" && url === "*") return { status: 200, body: "" };
  if (live === undefined && ready === undefined) return undefined;
  if (method !== "GET" && method !== "HEAD") return undefined;
  const query = url.indexOf("?");
  const path = query === -1 ? url : url.slice(0, query);
  if (path === live) return { status: 200, body: "ok\n" };
  if (path === ready) return isDraining ? { status: 503, body: "draining\n" } : { status: 200, body: "ok\n" };
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
  if (status === 503 || bodyIsFar(req)) closeAfter(req, res, LINGER_MS);
  res.end(body);
  dropBody(req);
}
