import type { ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { reportFault } from "../lib/log/callback-faults.js";
import { stateOf } from "../lib/request/state.js";
import { truncate } from "../lib/response/close.js";
import type { Outer, WriteCallback } from "../lib/response/interceptor.js";
import type { Encoding, EncodingName } from "./encoders.js";
import { weaken } from "./negotiate.js";
import type { CompressPlan } from "./options.js";

/** A response that may be encoded, and the ways to send it. */
export class EncodableResponse {
  constructor(
    readonly plan: CompressPlan,
    readonly req: Request,
    readonly res: Response,
    readonly outer: Outer,
    readonly encoding: Encoding,
    private readonly status: number,
    private readonly reason: string | undefined,
  ) {}

  /** Whether a body of this length is worth encoding. */
  isWorthEncoding(length: number): boolean {
    return length > 0 && length >= this.plan.threshold;
  }

  /** @param length of the encoded body in bytes, if it is known */
  writeEncodedHead(length: number | undefined): void {
    const { res } = this;
    let isDescribed = false;
    try {
      this.writeHead(() => {
        isDescribed = true;
        describeEncoded(res, this.encoding.name, length);
      });
    } catch (error) {
      // Node refused the head. The app may correct it or send another answer, with another body.
      if (isDescribed && !res.headersSent) {
        res.removeHeader("Content-Encoding");
        res.removeHeader("Content-Length");
      }
      throw error;
    }
  }

  writeHead(prepare?: () => void): void {
    this.outer.writeHead(this.status, this.reason, prepare);
  }

  sendEncoded(encoded: Buffer, callback: WriteCallback | undefined): void {
    const isKnown = !hasTrailers(this.res) && this.req.method !== "HEAD"; // a handler may write less for HEAD
    this.writeEncodedHead(isKnown ? encoded.length : undefined);
    this.outer.end(encoded, undefined, callback);
  }

  sendPlain(bytes: Uint8Array, callback: WriteCallback | undefined): void {
    const { outer, res } = this;
    this.writeHead(() => {
      if (!res.hasHeader("content-length") && !hasTrailers(res))
        res.setHeader("Content-Length", bytes.length);
    });
    outer.end(bytes.length === 0 ? undefined : bytes, undefined, callback);
  }

  /** Ends an answer to HEAD without a body, so that the length of the GET's body is unknown. */
  sendUnknown(callback: WriteCallback | undefined): void {
    this.writeHead(() => removeUnknown(this.res));
    this.outer.end(undefined, undefined, callback);
  }

  report(error: unknown, message: string): void {
    reportFault(this.req, error, message);
  }

  /** Truncates the response, so that the client sees that it is not complete. */
  truncate(error: unknown, message: string): void {
    stateOf(this.req).truncated = true;
    this.report(error, message);
    truncate(this.res);
  }
}

/** Headers that describe the bytes of the body without encoding. */
const OF_PLAIN_BYTES = ["content-md5", "content-digest", "repr-digest", "digest", "accept-ranges"];

/** Sets the headers of an encoded body; `length` in bytes, if it is known. */
function describeEncoded(res: ServerResponse, encoding: EncodingName, length: number | undefined): void {
  res.setHeader("Content-Encoding", encoding);
  if (length !== undefined) res.setHeader("Content-Length", length);
  else if (res.hasHeader("content-length")) res.removeHeader("Content-Length");
  for (const name of OF_PLAIN_BYTES) {
    if (res.hasHeader(name)) res.removeHeader(name);
  }
  weaken(res);
}

/**
 * Removes headers from an answer to HEAD if it is unknown whether the body of the GET would be encoded, because that
 * depends on the encoded size. RFC 9110 section 9.3.2 allows that.
 */
export function removeUnknown(res: ServerResponse): void {
  for (const name of OF_PLAIN_BYTES) {
    if (res.hasHeader(name)) res.removeHeader(name);
  }
  if (res.hasHeader("content-length")) res.removeHeader("Content-Length");
  const etag = res.getHeader("etag");
  if (typeof etag === "string" && etag.startsWith('"')) res.removeHeader("ETag");
}

/** Whether trailers were added: HTTP/1.1 allows them only on a body without Content-Length. */
function hasTrailers(res: ServerResponse): boolean {
  return !!(res as { _trailer?: string })._trailer;
}
