import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerResponse, ServerHttp2Stream } from "node:http2";
import { type HeadHeaders, headersSent, isOddList, setHeadHeaders } from "../../lib/response/write.js";
import { words } from "../../lib/values/words.js";
import { type ENDED, getterOf, isGone, truncateOnDestroy } from "./stream.js";

export const CLOSED = Symbol("express-portico.http2-closed");
export const LENGTH_REMOVED = Symbol("express-portico.http2-length-removed");
const REASON = Symbol("express-portico.http2-reason");

/** A response as this folder sees it. */
export interface Response {
  readonly stream: ServerHttp2Stream & { readonly headRequest?: boolean };
  statusCode: number;
  statusMessage: string | undefined;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly closed: boolean;
  readonly destroyed: boolean;
  readonly writableNeedDrain: boolean;
  readonly writableObjectMode: boolean;
  readonly socket: unknown;
  readonly connection: unknown;
  readonly writableFinished: boolean;
  readonly finished: boolean;
  readonly req: { readonly socket: unknown } | undefined;
  [CLOSED]?: true;
  [ENDED]?: true;
  [LENGTH_REMOVED]?: true;
  [REASON]?: string | undefined;

  setHeader(name: string, value: OutgoingHttpHeader): this;
  appendHeader(name: string, value: string | readonly string[]): this;
  setHeaders(headers: unknown): this;
  getHeader(name: string): OutgoingHttpHeader | undefined;
  getHeaders(): OutgoingHttpHeaders;
  getHeaderNames(): string[];
  getRawHeaderNames(): string[];
  hasHeader(name: string): boolean;
  removeHeader(name: string): void;
  writeHead(status: number, reason?: unknown, headers?: unknown): this;
  _implicitHeader(): void;
  write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean;
  end(chunk?: unknown, encoding?: unknown, callback?: unknown): this;
  destroy(error?: Error): this;
  emit(event: string | symbol, ...values: unknown[]): boolean;
  setTimeout(msecs: number, callback?: () => void): this;
  addTrailers(headers: unknown): void;
  setTrailer(name: string, value: string): void;
  writeContinue(callback?: () => void): boolean;
  writeProcessing(callback?: () => void): boolean;
  writeInformation?(status: number, headers?: object, callback?: () => void): boolean;
  createPushResponse(
    headers: object,
    callback: (error: Error | null, pushed?: Http2ServerResponse) => void,
  ): void;
  writeEarlyHints(hints: Record<string, string | string[]>, callback?: () => void): boolean;
}

/** Headers of the connection, which HTTP/2 forbids (RFC 9113 section 8.2.2). */
const FORBIDDEN: ReadonlySet<string> = new Set(
  words("connection keep-alive proxy-connection transfer-encoding upgrade http2-settings"),
);

export function isForbidden(name: string, value: unknown): boolean {
  switch (name.length) {
    case 2:
      return value !== "trailers" && name.toLowerCase() === "te";
    case 7:
    case 10:
    case 14:
    case 16:
    case 17:
      return FORBIDDEN.has(name.toLowerCase());
    default:
      return false;
  }
}

/**
 * Gives the status, the headers and the socket of an HTTP/2 response the API of HTTP/1.1. Headers that HTTP/2 forbids are
 * dropped. Names and values are checked as on HTTP/1.1; Node's HTTP/2 does not check for control characters.
 */
export function responseMembers(prototype: Http2ServerResponse) {
  const { STATUS_CODES, validateHeaderName, validateHeaderValue } = process.getBuiltinModule("node:http");
  const { setTimeout } = prototype;
  const { setHeader, appendHeader, removeHeader, writeHead } = prototype as unknown as Response;
  const socketOf = getterOf<Response, unknown>(prototype, "socket");

  return {
    /** HTTP/2 sends none. */
    get statusMessage() {
      return this[REASON] ?? (this.headersSent ? STATUS_CODES[this.statusCode] : undefined);
    },
    set statusMessage(reason) {
      this[REASON] = reason;
    },

    get socket() {
      truncateOnDestroy(this.stream);
      const socket = socketOf.call(this);
      // Node's own is undefined once the stream is closed. As on HTTP/1.1, a response that never finished keeps the
      // request's socket: `on-finished`, and so Express's files, read there that the client has left.
      if (socket === undefined && this.writableFinished) return null;
      return this.req === undefined ? socket : this.req.socket; // a pushed response has no request
    },
    get connection() {
      return this.socket;
    },

    setTimeout(msecs: number, callback?: () => void) {
      setTimeout.call(this as never, msecs, callback);
      return this;
    },

    setHeader(name: string, value: OutgoingHttpHeader) {
      if (this.headersSent) throw headersSent("set");
      validateHeaderName(name);
      validateHeaderValue(name, value as string);
      if (!isForbidden(name, value)) setHeader.call(this, name, value as string);
      return this;
    },

    appendHeader(name: string, value: string | readonly string[]) {
      if (this.headersSent) throw headersSent("append");
      validateHeaderName(name);
      validateHeaderValue(name, value as string);
      if (!isForbidden(name, value)) appendHeader.call(this, name, value as string);
      return this;
    },

    setHeaders(headers: Headers | Map<string, OutgoingHttpHeader>) {
      if (this.headersSent) throw headersSent("set");
      if (
        typeof headers?.keys !== "function" ||
        typeof headers.get !== "function" ||
        Array.isArray(headers)
      ) {
        throw Object.assign(new TypeError('The "headers" argument must be an instance of Headers or Map'), {
          code: "ERR_INVALID_ARG_TYPE",
        });
      }
      const cookies: string[] = []; // Headers iterates over them one by one
      for (const [name, value] of headers as Map<string, OutgoingHttpHeader>) {
        if (name === "set-cookie") cookies.push(...([value].flat() as string[]));
        else this.setHeader(name, value);
      }
      if (cookies.length > 0) this.setHeader("set-cookie", cookies);
      return this;
    },

    removeHeader(name: string) {
      if (this.headersSent) throw headersSent("remove");
      removeHeader.call(this, name);
      if (name.length === 14 && name.toLowerCase() === "content-length") this[LENGTH_REMOVED] = true;
    },

    getRawHeaderNames() {
      return this.getHeaderNames();
    },

    writeHead(status: number, reason?: unknown, headers?: unknown) {
      const { stream } = this;
      if (isGone(stream)) return this;
      if (stream.headersSent) throw headersSent("write");
      if (typeof reason === "string") this.statusMessage = reason;
      const more = typeof reason === "string" ? headers : (headers ?? reason);
      if (more !== undefined && more !== null) setAll(this, more);
      try {
        writeHead.call(this, status);
      } catch (error) {
        if (!fixHeaders(this, error)) throw error;
        writeHead.call(this, status);
      }
      return this;
    },

    _implicitHeader() {
      this.writeHead(this.statusCode);
    },
  } as Partial<Response> & ThisType<Response>;
}

/** Takes the forms of HTTP/1.1: an object, a flat list of names and values, a list of pairs. They replace earlier ones. */
function setAll(res: Response, headers: unknown): void {
  const list = Array.isArray(headers) && Array.isArray(headers[0]) ? headers.flat(1) : headers;
  if (isOddList(list)) {
    throw Object.assign(new TypeError("The argument 'headers' is invalid: a name has no value"), {
      code: "ERR_INVALID_ARG_VALUE",
    });
  }
  setHeadHeaders(res as unknown as ServerResponse, list as HeadHeaders);
}

/** Corrects headers that HTTP/2 refuses and HTTP/1.1 would send; false if Node's error has another cause. */
function fixHeaders(res: Response, error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ERR_HTTP2_INVALID_CONNECTION_HEADERS" && code !== "ERR_HTTP2_HEADER_SINGLE_VALUE")
    return false;
  for (const [name, value] of Object.entries(res.getHeaders())) {
    // It was set on Node's own response, before the app had it.
    if (isForbidden(name, value)) res.removeHeader(name);
    // Several lines of one header mean the same as one with commas (RFC 9110 section 5.3), except for cookies.
    else if (Array.isArray(value) && name !== "set-cookie") res.setHeader(name, value.join(", "));
  }
  return true;
}
