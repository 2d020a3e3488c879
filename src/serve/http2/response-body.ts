import type { Http2ServerResponse } from "node:http2";
import { CLOSED, isForbidden, LENGTH_REMOVED, type Response } from "./response.js";
import { ENDED, getterOf, isGone, type LateResponse, lateEnd, lateWrite, truncate } from "./stream.js";

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
        if (this[CLOSED]) return false; // `closeHeadRequest` has emitted it already
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

type PushCallback = (error: Error | null, pushed?: Http2ServerResponse) => void;

/** Interim responses, trailers and pushes: with callbacks, and without headers that HTTP/2 forbids. */
export function informationMembers(prototype: Http2ServerResponse) {
  const { writeContinue, writeEarlyHints, writeInformation, createPushResponse, setTrailer } =
    prototype as unknown as Response;
  return {
    ...(writeInformation !== undefined && {
      writeInformation(this: Response, ...args: Parameters<NonNullable<typeof writeInformation>>) {
        return callLater(!isGone(this.stream) && writeInformation.apply(this, args), args.at(-1) as Callback);
      },
    }),

    writeContinue(callback?: Callback) {
      return callLater(!isGone(this.stream) && writeContinue.call(this), callback);
    },

    writeProcessing(callback?: Callback) {
      const { stream } = this;
      const isTooLate = this.headersSent || isGone(stream);
      if (!isTooLate) stream.additionalHeaders({ ":status": 102 });
      return callLater(!isTooLate, callback);
    },

    writeEarlyHints(hints: Record<string, string | string[]>, callback?: Callback) {
      if (isGone(this.stream)) return callLater(false, callback);
      const allowed = Object.entries(hints ?? {}).filter(([name, value]) => !isForbidden(name, value));
      return callLater(writeEarlyHints.call(this, Object.fromEntries(allowed)), callback);
    },

    createPushResponse(headers: object, callback: PushCallback) {
      push(this, createPushResponse, headers, callback);
    },

    setTrailer(name: string, value: string) {
      if (!isForbidden(name, value)) setTrailer.call(this, name, value);
    },

    addTrailers(headers: unknown) {
      const pairs = Array.isArray(headers) ? headers : Object.entries(headers as object);
      for (const [name, value] of pairs) this.setTrailer(name, value);
    },
  } as Partial<Response> & ThisType<Response>;
}

/**
 * Passes the errors of making a push to its callback: a client may refuse pushes at any time. Later errors of the pushed
 * stream are dropped: without a listener they would be uncaught.
 */
export function push<This>(
  res: This,
  create: (this: This, headers: object, callback: PushCallback) => void,
  headers: object,
  callback: PushCallback,
): void {
  if (typeof callback !== "function") throw new TypeError("createPushResponse needs a callback");
  try {
    create.call(res, headers, (error, pushed) => {
      pushed?.stream.on("error", () => {});
      callback(error, pushed);
    });
  } catch (error) {
    process.nextTick(callback, error as Error);
  }
}

function callLater(isSent: unknown, callback: Callback | undefined): boolean {
  if (typeof callback === "function") process.nextTick(callback);
  return isSent !== false;
}

type PlainResponse = Http2ServerResponse & LateResponse;
type Method = (this: PlainResponse, ...args: unknown[]) => unknown;

/**
 * Node's class of HTTP/2 responses, with methods that do not throw when the client has left. For plain listeners, and
 * for Node itself, which calls `writeContinue` before any listener.
 */
export function safeResponseClass(): typeof Http2ServerResponse {
  const Original = process.getBuiltinModule("node:http2").Http2ServerResponse;
  class SafeResponse extends Original {}
  const original = Original.prototype as unknown as Record<string, Method | undefined>;
  const members: Record<string, Method> = {
    write(...args) {
      return isGone(this.stream) ? lateWrite(this, ...args) : original.write!.apply(this, args);
    },
    end(...args) {
      // Without a body Node's `end` does not throw. For HEAD it emits 'close'.
      const late = [undefined, undefined, args.find((arg) => typeof arg === "function")];
      return original.end!.apply(this, isGone(this.stream) ? late : args);
    },
    createPushResponse(headers, callback) {
      push(this, original.createPushResponse as never, headers as object, callback as never);
    },
  };
  for (const name of ["writeContinue", "writeInformation", "writeEarlyHints"]) {
    const method = original[name];
    if (method === undefined) continue;
    members[name] = function (...args) {
      return !isGone(this.stream) && method.apply(this, args);
    };
  }
  for (const [name, value] of Object.entries(members)) {
    Object.defineProperty(SafeResponse.prototype, name, { value, configurable: true, writable: true });
  }
  return SafeResponse as unknown as typeof Http2ServerResponse;
}
