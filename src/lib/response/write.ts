import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { isHttp2 } from "../request/transport.js";
import { peek } from "../values/thrown.js";
import type { Chunk, WriteCallback } from "./interceptor.js";

/** Node's private fields of an HTTP/1 response. */
export interface Outgoing {
  /** The serialized head, and whether it was sent: `writeHead` does not send it yet. */
  readonly _header?: string | null;
  readonly _headerSent?: boolean;
}

/** Sets the length of a body that is sent in one piece, as Node does. Here the head is written before the piece. */
export function setLength(res: ServerResponse, status: number, whole: number | undefined): void {
  if (whole === undefined || status < 200 || status === 204 || status === 304 || res.req.method === "HEAD")
    return;
  if (res.hasHeader("content-length") || res.hasHeader("transfer-encoding") || res.hasHeader("trailer"))
    return;
  res.setHeader("Content-Length", whole);
}

export function isChunk(value: unknown): value is Chunk {
  return typeof value === "string" || value instanceof Uint8Array;
}

export function byteLength(chunk: Chunk, encoding: BufferEncoding | undefined): number {
  return typeof chunk === "string" ? Buffer.byteLength(chunk, encoding) : chunk.byteLength;
}

export function functionOf(value: unknown): WriteCallback | undefined {
  return typeof value === "function" ? (value as WriteCallback) : undefined;
}

export function encodingOf(value: unknown): BufferEncoding | undefined {
  return typeof value === "string" ? (value as BufferEncoding) : undefined;
}

// Errors for late calls, with the messages and codes of Node's HTTP/1.1: people search for them, and apps check them.

export function headersSent(verb: "write" | "set" | "append" | "remove"): Error {
  return withCode(`Cannot ${verb} headers after they are sent to the client`, "ERR_HTTP_HEADERS_SENT");
}

export function writeAfterEnd(res: ServerResponse, callback: ((error: Error) => void) | undefined): void {
  const error = withCode("write after end", "ERR_STREAM_WRITE_AFTER_END");
  process.nextTick(() => {
    callback?.(error);
    // On HTTP/2 Node would reset the stream, although the answer that is still to be sent is good.
    if (!res.destroyed && !isHttp2(res.req)) res.emit("error", error);
  });
}

export function lost(): Error {
  return withCode("another answer has replaced this one", "ERR_STREAM_DESTROYED");
}

function withCode(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

const EVENT_STREAM = /^\s*text\/event-stream\s*(?:;|$)/i;
const IN_HEAD = /\r\ncontent-type:\s*text\/event-stream\s*(?:;|\r)/i;

/** Whether the response is an event stream, which has no end and may send nothing for a long time. */
export function isEventStream(res: ServerResponse): boolean {
  const type: unknown = res.getHeader("content-type");
  if (type !== undefined) return typeof type === "string" && EVENT_STREAM.test(type);
  // Headers that were only passed to `writeHead` are only in the head, if no others were set before.
  const head = peek(res, "_header");
  return typeof head === "string" && IN_HEAD.test(head);
}

/** Undoes all `cork` calls, as Node does when a response ends. */
export function uncorkAll(res: ServerResponse): void {
  for (let corks = res.writableCorked; corks > 0; corks--) res.uncork();
}

export type HeadHeaders = OutgoingHttpHeaders | readonly unknown[];

/** Whether Node refuses this list of headers: a name has no value. */
export function isOddList(headers: unknown): boolean {
  return Array.isArray(headers) && !Array.isArray(headers[0]) && headers.length % 2 !== 0;
}

/** Sets the headers given to `writeHead`: they replace those set before, as in Node. */
export function setHeadHeaders(res: ServerResponse, headers: HeadHeaders): void {
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers as OutgoingHttpHeaders)) {
      if (name) res.setHeader(name, value as string);
    }
    return;
  }
  const flat = Array.isArray(headers[0]) ? (headers as unknown[][]).flat(1) : headers;
  for (let i = 0; i + 1 < flat.length; i += 2) res.removeHeader(String(flat[i]));
  for (let i = 0; i + 1 < flat.length; i += 2) res.appendHeader(String(flat[i]), flat[i + 1] as string);
}
