import type { ServerResponse } from "node:http";
import type { Chunk, WriteCallback } from "./interceptor.js";

/** As Node does it for a body that comes in one piece: by the time the piece comes, the head is already written. */
export function setLength(res: ServerResponse, status: number, whole: number | undefined): void {
  if (whole === undefined || status < 200 || status === 204 || status === 304 || res.req.method === "HEAD")
    return;
  if (res.hasHeader("content-length") || res.hasHeader("transfer-encoding") || res.hasHeader("trailer"))
    return;
  res.setHeader("Content-Length", whole);
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
