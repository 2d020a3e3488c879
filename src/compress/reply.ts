import type { Request, Response } from "express";
import { stateOf } from "../lib/request/state.js";
import { truncate } from "../lib/response/close.js";
import type { Outer, WriteCallback } from "../lib/response/interceptor.js";
import type { Coding } from "./codings.js";
import { describeCoded, forgetUnknown, hasTrailers } from "./headers.js";
import type { CompressPlan } from "./options.js";
import { reportFault } from "./report.js";

/** One response that may be coded, and the ways of sending it. */
export class Reply {
  constructor(
    readonly plan: CompressPlan,
    readonly req: Request,
    readonly res: Response,
    readonly outlet: Outer,
    readonly coding: Coding,
    private readonly status: number,
    private readonly reason: string | undefined,
  ) {}

  /** A length that pays for being coded. */
  pays(length: number): boolean {
    return length > 0 && length >= this.plan.threshold;
  }

  /** @param length of the coded body in bytes, if it is known */
  writeCodedHead(length: number | undefined): void {
    const { res } = this;
    let isDescribed = false;
    try {
      this.writeHead(() => {
        isDescribed = true;
        describeCoded(res, this.coding.encoding, length);
      });
    } catch (error) {
      // What Node refuses, the app may mend, or answer otherwise: that will be another body.
      if (isDescribed && !res.headersSent) {
        res.removeHeader("Content-Encoding");
        res.removeHeader("Content-Length");
      }
      throw error;
    }
  }

  writeHead(prepare?: () => void): void {
    this.outlet.writeHead(this.status, this.reason, prepare);
  }

  sendCoded(coded: Buffer, callback: WriteCallback | undefined): void {
    const isKnown = !hasTrailers(this.res) && this.req.method !== "HEAD"; // a handler may have less for HEAD
    this.writeCodedHead(isKnown ? coded.length : undefined);
    this.outlet.end(coded, undefined, callback);
  }

  sendPlain(bytes: Uint8Array, callback: WriteCallback | undefined): void {
    const { outlet, res } = this;
    this.writeHead(() => {
      if (!res.hasHeader("content-length") && !hasTrailers(res))
        res.setHeader("Content-Length", bytes.length);
    });
    outlet.end(bytes.length === 0 ? undefined : bytes, undefined, callback);
  }

  /** The end of an answer to HEAD for which there was no body. */
  sendUnknown(callback: WriteCallback | undefined): void {
    this.writeHead(() => forgetUnknown(this.res));
    this.outlet.end(undefined, undefined, callback);
  }

  report(error: unknown, message: string): void {
    reportFault(this.req, error, message);
  }

  /** The client must see that the answer is not whole. */
  cut(error: unknown, message: string): void {
    stateOf(this.req).truncated = true;
    this.report(error, message);
    truncate(this.res);
  }
}
