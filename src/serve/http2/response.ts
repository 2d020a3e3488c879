import type { OutgoingHttpHeader, OutgoingHttpHeaders } from "node:http";
import type { Http2ServerResponse, ServerHttp2Stream } from "node:http2";
import { getterOf, inherit } from "./inherit.js";
import type { ENDED } from "./late.js";
import { bodyMembers } from "./response-body.js";
import { headerMembers } from "./response-headers.js";
import { informationMembers } from "./response-information.js";
import { truncateOnDestroy } from "./stream.js";

export { ENDED } from "./late.js";

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

/** Gives an HTTP/2 response the API of HTTP/1.1: the last prototype in the mirror of `app.response`. */
export function responseMembers(prototype: Http2ServerResponse): object {
  const { STATUS_CODES } = process.getBuiltinModule("node:http");
  const { setTimeout } = prototype;
  const socketOf = getterOf<Response, unknown>(prototype, "socket");

  const members = {
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
  } as Partial<Response> & ThisType<Response>;

  return inherit(
    prototype,
    members,
    headerMembers(prototype),
    bodyMembers(prototype),
    informationMembers(prototype),
  );
}
