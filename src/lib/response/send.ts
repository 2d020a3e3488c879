import type { IncomingMessage, ServerResponse } from "node:http";
import { isHttp2 } from "../request/transport.js";
import { closeAfter, dropBody, hasUnreadBody } from "./close.js";
import { DEFAULT_LINGER_MS } from "./early-response.js";

export { DEFAULT_LINGER_MS } from "./early-response.js";

export interface SendOptions {
  /** Whether the connection ends with this answer. By default only if the request's body is far from its end. */
  readonly close?: boolean | undefined;
  /** How long the connection (with HTTP/2: the request) is read on after its last answer, while the client still sends. */
  readonly lingerMs?: number | undefined;
}

/**
 * Answers at once, whatever the state of the request's body: nobody waits for an upload that will not be read.
 * Nothing is done if the response has begun or its client is gone.
 */
export function send(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  type: string | undefined,
  body: string,
  { close = hasUnreadBody(req), lingerMs = DEFAULT_LINGER_MS }: SendOptions = {},
): void {
  if (res.headersSent || res.writableEnded || res.destroyed) return;
  res.on("error", ignore); // a stream that is still piped into it writes on after this end
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
