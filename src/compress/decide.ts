import type { ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { addVary } from "../lib/http/vary.js";
import { isServed } from "../lib/request/transport.js";
import type { Encoding } from "./codings.js";
import { weaken } from "./headers.js";
import type { CompressPlan } from "./options.js";
import { reportFault } from "./report.js";
import { isCompressible, isEventStream } from "./types.js";

/**
 * The encoding for this response if its length allows it; undefined: the response is not touched. Adds Accept-Encoding to
 * Vary if the response depends on it.
 */
export function negotiate(
  plan: CompressPlan,
  req: Request,
  res: Response,
  status: number,
): Encoding | undefined {
  if (status < 200 || status === 204 || status === 205) return undefined;
  if (isUntransformable(res)) return undefined;
  if (status === 304) {
    describeNotModified(plan, req, res);
    return undefined;
  }
  const type = textOf(res, "content-type");
  if (type === undefined || !mayBeEncoded(plan, req, res, type) || isEncoded(res)) return undefined;
  addVary(res, "Accept-Encoding");
  // A range is of the body without encoding.
  if (status === 206 || res.hasHeader("content-range")) return undefined;
  return plan.choose(req.headers["accept-encoding"], isServed(req, res));
}

function mayBeEncoded({ filter }: CompressPlan, req: Request, res: Response, type: string): boolean {
  if (filter === undefined) return isCompressible(type);
  if (!isCompressible(type) && !isEventStream(type)) return false;
  try {
    return (filter(req, res) as unknown) === true;
  } catch (fault) {
    reportFault(req, fault, "compress: the option filter threw");
    return false;
  }
}

/** RFC 9111 section 5.2.2.6: no-transform. */
function isUntransformable(res: ServerResponse): boolean {
  const control = textOf(res, "cache-control");
  return control !== undefined && /(?:^|,)[ \t]*no-transform[ \t]*(?:,|$)/i.test(control);
}

/** Whether the app has encoded or framed the body itself. */
function isEncoded(res: ServerResponse): boolean {
  if (res.hasHeader("transfer-encoding") || res.hasHeader("trailer")) return true;
  const encoding = textOf(res, "content-encoding");
  return encoding !== undefined && encoding.trim().toLowerCase() !== "identity";
}

/**
 * A 304 has the Vary and ETag of the 200 (RFC 9110 section 15.4.5), as far as they are known: the type may be missing. A
 * client that sends the weak ETag has the encoded body, and could not match it with the strong one.
 */
function describeNotModified(plan: CompressPlan, req: Request, res: Response): void {
  const type = textOf(res, "content-type");
  if (type !== undefined && !isCompressible(type)) return;
  addVary(res, "Accept-Encoding");
  const etag = textOf(res, "etag");
  const known = req.headers["if-none-match"];
  if (etag?.startsWith('"') !== true || known === undefined || !known.includes(`W/${etag}`)) return;
  if (plan.choose(req.headers["accept-encoding"], isServed(req, res)) !== undefined) weaken(res);
}

function textOf(res: ServerResponse, name: string): string | undefined {
  const value = res.getHeader(name);
  return value === undefined || typeof value === "string" ? value : String(value);
}
