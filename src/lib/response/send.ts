import type { IncomingMessage, ServerResponse } from "node:http";
import { isHttp2 } from "../request/transport.js";
import { closeAfter, dropBody, shouldCloseEarly } from "./close.js";
import { DEFAULT_LINGER_MS } from "./early-response.js";

export interface SendOptions {
  /** Whether the connection ends with this answer. By default only if much of the request's body is still to come. */
  readonly close?: boolean | undefined;
  /** How long the connection (over HTTP/2: the request) is still read after its last answer, in milliseconds. */
  readonly lingerMs?: number | undefined;
}

/**
 * Sends an answer at once, without waiting for the request's body. Does nothing if the response has begun or the client has
 * left.
 */
export function send(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  type: string | undefined,
  body: string,
  { close = shouldCloseEarly(req), lingerMs = DEFAULT_LINGER_MS }: SendOptions = {},
): void {
  if (res.headersSent || res.writableEnded || res.destroyed) return;
  res.on("error", ignore); // a stream that is still piped into it goes on to write
  res.statusCode = status;
  if (!isHttp2(req)) res.statusMessage = "";
  if (type !== undefined) {
    res.setHeader("Content-Type", type);
    res.setHeader("Content-Length", Buffer.byteLength(body));
  }
  if (close) closeAfter(req, res, lingerMs);
  res.end(body);
  dropBody(req, lingerMs);
}

function ignore(): void {}
