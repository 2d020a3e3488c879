import type { Http2ServerResponse } from "node:http2";
import { getterOf } from "./inherit.js";
import { lateEnd, lateWrite } from "./late.js";
import { CLOSED, ENDED, LENGTH_REMOVED, type Response } from "./response.js";
import { isGone, truncate } from "./stream.js";

type SetHeader = (this: Response, name: string, value: number) => unknown;
type Callback = (error?: Error | null) => void;

/** Gives `write`, `end`, `destroy` and the state of the body the behaviour of HTTP/1.1. */
export function bodyMembers(prototype: Http2ServerResponse) {
  const { write, end, destroy, emit, setHeader } = prototype as unknown as Writer;
  const endedOf = getterOf<Response, boolean>(prototype, "writableEnded");

  return {
    write(chunk: unknown, encoding?: unknown, callback?: Callback) {
      checkChunk(chunk); // before the head is sent, so that an error page is possible
      const { stream } = this;
      if (isGone(stream)) return lateWrite(this, encoding, callback);
      if (!this.writableEnded) {
        if (!stream.headersSent) this.writeHead(this.statusCode);
        // Node has ended the stream with the head (HEAD, 204, 304): a write would fail.
        if (stream.writableEnded) {
          const done = typeof encoding === "function" ? (encoding as Callback) : callback;
          if (typeof done === "function") process.nextTick(done);
          return true;
        }
      }
      return write.call(this, chunk, encoding, callback);
    },

    end(chunk?: unknown, encoding?: unknown, callback?: Callback) {
      if (typeof chunk === "function") return this.end(undefined, undefined, chunk as Callback);
      const body = chunk || undefined; // as on HTTP/1.1
      if (isGone(this.stream)) {
        if (body !== undefined) checkChunk(body);
        lateEnd(this, encoding, callback);
        return this;
      }
      if (!this.headersSent && !this.writableEnded) {
        if (body !== undefined) checkChunk(body);
        setLength(this, setHeader, body as string | Uint8Array | undefined, encoding);
      }
      return end.call(this, body, encoding, callback) as Response;
    },

    destroy(error?: Error) {
      if (error === undefined || error === null) truncate(this.stream);
      destroy.call(this, error);
      return this;
    },

    /** Node always emits 'finish'. As on HTTP/1.1, it must mean that the complete response was handed to the system. */
    emit(event: string | symbol, ...values: unknown[]) {
      if (event === "finish" && !this.writableFinished) return false;
      if (event === "close") {
        if (this[CLOSED]) return false; // already emitted by the request (HEAD)
        this[CLOSED] = true;
      }
      return emit.call(this, event, ...values);
    },

    get closed() {
      return this[CLOSED] === true;
    },
    get destroyed() {
      return this[CLOSED] === true || this.stream.destroyed;
    },
    get writableEnded() {
      return this[ENDED] === true || endedOf.call(this);
    },
    /** Not `this.writableEnded`: compress and cache make that true while they still hold back the end. */
    get finished() {
      return this[ENDED] === true || endedOf.call(this);
    },
    /** Node also ends the stream of a HEAD request before its answer, and one that was reset: neither is finished. */
    get writableFinished() {
      const { stream } = this;
      return stream.writableFinished && !stream.aborted && (stream.headersSent || !stream.headRequest);
    },
    get writableNeedDrain() {
      return !isGone(this.stream) && this.stream.writableNeedDrain;
    },
    get writableObjectMode() {
      return false;
    },
  } as Partial<Response> & ThisType<Response>;
}

interface Writer {
  readonly setHeader: SetHeader;
  write(this: Response, chunk: unknown, encoding?: unknown, callback?: Callback): boolean;
  end(this: Response, chunk: unknown, encoding?: unknown, callback?: Callback): unknown;
  destroy(this: Response, error?: Error): unknown;
  emit(this: Response, event: string | symbol, ...values: unknown[]): boolean;
}

function checkChunk(chunk: unknown): void {
  if (typeof chunk === "string" || chunk instanceof Uint8Array) return;
  throw Object.assign(
    new TypeError('The "chunk" argument must be of type string or an instance of Buffer or Uint8Array'),
    { code: chunk === null ? "ERR_STREAM_NULL_VALUES" : "ERR_INVALID_ARG_TYPE" },
  );
}

/** Sets the length of a response that is ended at once, as Node does on HTTP/1.1. */
function setLength(
  res: Response,
  setHeader: SetHeader, // Node's own, so that code that has replaced `res.setHeader` is not called
  body: string | Uint8Array | undefined,
  encoding: unknown,
): void {
  const { statusCode } = res;
  if (res.stream.headRequest || statusCode === 204 || statusCode === 304) return;
  if (res.hasHeader("content-length") || res[LENGTH_REMOVED] || res.hasHeader("trailer")) return;
  setHeader.call(res, "content-length", statusCode === 205 ? 0 : lengthOf(body, encoding));
}

function lengthOf(body: string | Uint8Array | undefined, encoding: unknown): number {
  if (body === undefined) return 0;
  if (typeof body !== "string") return body.byteLength;
  return Buffer.byteLength(body, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8");
}
