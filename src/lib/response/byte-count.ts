import type { ServerResponse } from "node:http";

type Write = ServerResponse["write"];
type End = ServerResponse["end"];

interface Counter {
  bytes: number;
  /** `end` is running, which on HTTP/2 calls `write` itself. */
  ending: boolean;
  write: (...args: unknown[]) => boolean;
  end: (...args: unknown[]) => ServerResponse;
}

const COUNTER = Symbol("express-portico.sent-bytes");
type Counted = ServerResponse & { [COUNTER]?: Counter };

/**
 * Counts the bytes of the response's body as they are sent (after an inner compression). Return values, callbacks and
 * backpressure of `write` and `end` stay the same. Once per response.
 */
export function countSentBytes(res: ServerResponse): void {
  const counted = res as Counted;
  if (counted[COUNTER] !== undefined) return;
  counted[COUNTER] = {
    bytes: 0,
    ending: false,
    write: res.write as Counter["write"],
    end: res.end as Counter["end"],
  };
  res.write = countedWrite as Write;
  res.end = countedEnd as End;
}

/** The bytes of the body that were sent; 0 for an answer without a body (HEAD, 204, 304); undefined if not counted. */
export function sentBytes(res: ServerResponse): number | undefined {
  const counter = (res as Counted)[COUNTER];
  if (counter === undefined) return undefined;
  const { statusCode } = res;
  const bodiless = res.req.method === "HEAD" || statusCode === 204 || statusCode === 304 || !res.headersSent;
  return bodiless ? 0 : counter.bytes;
}

function countedWrite(this: Counted, chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  const counter = this[COUNTER]!;
  if (!counter.ending && !this.writableEnded) counter.bytes += sizeOf(chunk, encoding);
  return counter.write.call(this, chunk, encoding, callback);
}

function countedEnd(this: Counted, chunk?: unknown, encoding?: unknown, callback?: unknown): ServerResponse {
  const counter = this[COUNTER]!;
  if (!this.writableEnded) counter.bytes += sizeOf(chunk, encoding);
  counter.ending = true;
  try {
    return counter.end.call(this, chunk, encoding, callback);
  } finally {
    counter.ending = false;
  }
}

function sizeOf(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === "string") {
    return Buffer.byteLength(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8");
  }
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}
