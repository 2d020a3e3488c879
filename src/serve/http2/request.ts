import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { closedSocket, getterOf, socketOfHeadRequest, truncate, truncateOnDestroy } from "./stream.js";

const HEADERS = Symbol("express-portico.http2-headers");
const CLOSED = Symbol("express-portico.http2-closed");
const COMPLETE = Symbol("express-portico.http2-whole");

interface Request extends Omit<Http2ServerRequest, "headers" | "socket" | "connection"> {
  headers: IncomingHttpHeaders;
  readonly socket: unknown;
  readonly connection: unknown;
  readonly res?: { readonly closed: boolean; emit(event: string): boolean };
  [HEADERS]?: IncomingHttpHeaders;
  /** The body was complete when the client left. */
  [COMPLETE]?: true;
  [CLOSED]?: true;
}

/** Gives an HTTP/2 request the API of HTTP/1.1: the last prototype in the mirror of `app.request`. */
export function requestMembers(prototype: Http2ServerRequest): object {
  const { emit, setTimeout } = prototype as Http2ServerRequest & Pick<IncomingMessage, "setTimeout">;
  const headersOf = getterOf<Request, IncomingHttpHeaders>(prototype, "headers");
  const completeOf = getterOf<Request, boolean>(prototype, "complete");
  const socketOf = getterOf<Request, unknown>(prototype, "socket");

  return {
    get headers() {
      return (this[HEADERS] ??= plainHeaders(this, headersOf.call(this)));
    },
    set headers(headers) {
      this[HEADERS] = headers;
    },

    get headersDistinct() {
      const distinct: Record<string, string[]> = Object.create(null);
      const { rawHeaders } = this;
      for (let i = 0; i < rawHeaders.length; i += 2) {
        const name = rawHeaders[i]!.toLowerCase();
        if (!isPseudo(name)) (distinct[name] ??= []).push(rawHeaders[i + 1]!);
      }
      if (this.headers.host !== undefined) distinct.host = [this.headers.host];
      return distinct;
    },

    /** Node's own is true after an abort, and false for a complete request until it was read. */
    get complete() {
      if (this.stream.endAfterHeaders) return true;
      return this.aborted ? this[COMPLETE] === true : completeOf.call(this);
    },

    get socket() {
      truncateOnDestroy(this.stream);
      const socket = socketOf.call(this) as object;
      if (this.stream.session === undefined) return closedSocket(this.stream, socket);
      return isHeadRequest(this.stream) ? socketOfHeadRequest(this.stream, socket) : socket;
    },
    get connection() {
      return this.socket;
    },

    /**
     * Makes reading the body fail if the client left before the body was complete. Node ends the body normally, and `for await`
     * and `pipeline` would take the part that arrived for the whole.
     */
    emit(event: string | symbol, ...values: unknown[]) {
      if (event === "aborted" && this.aborted) {
        // Node waits for pending writes, which are never sent: the stream would stay in memory.
        if (this.stream.rstCode === 0) setImmediate(() => this.stream.destroy());
        if (this.stream.readableEnded) this[COMPLETE] = true;
        else if (!this.complete && !this.destroyed) {
          this.destroy(Object.assign(new Error("aborted"), { code: "ECONNRESET" }));
        }
      } else if (event === "close") {
        if (this[CLOSED]) return false; // both the request and its stream emit it
        this[CLOSED] = true;
        closeHeadRequest(this);
      } else if (event === "error" && values[0] === this.errored && this.listenerCount("error") === 0) {
        // As on HTTP/1.1: after an abort, 'error' is not emitted if it has no listener. A reader may have removed its listener on
        // 'aborted'.
        return false;
      }
      return emit.call(this as unknown as Http2ServerRequest, event as string, ...values);
    },

    /** Resets the stream if the request is destroyed before its body was read to the end, as on HTTP/1.1. */
    _destroy(error: Error | null, callback: (error?: Error | null) => void) {
      const isWhole = this.readableEnded && this.complete;
      callback(error); // first, so that 'error' is emitted before 'close'
      if (isWhole) return;
      truncate(this.stream);
      // A closed stream is destroyed by Node once its RST_STREAM is sent.
      if (!this.stream.destroyed && !this.stream.closed) this.stream.destroy(error ?? undefined);
    },

    setTimeout(msecs: number, callback?: () => void) {
      setTimeout.call(this as never, msecs, callback);
      return this;
    },
  } as Partial<Request> & ThisType<Request>;
}

/** Emits 'close' on the response to a HEAD request; after the client has left, Node still waits for `end`. */
function closeHeadRequest({ stream, res }: Request): void {
  if (!isHeadRequest(stream) || res === undefined) return;
  process.nextTick(() => res.closed || res.emit("close"));
}

function isHeadRequest(stream: object): boolean {
  return (stream as { readonly headRequest?: boolean }).headRequest === true;
}

function isPseudo(name: string): boolean {
  return name.charCodeAt(0) === 58; // ":"
}

/**
 * The headers as HTTP/1.1 has them: without pseudo-headers, and with the host. A copy, because other listeners use
 * Node's own object.
 */
function plainHeaders({ stream }: Request, headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const plain: IncomingHttpHeaders = {};
  // The request was routed by its authority, which goes before a Host field (RFC 9113 section 8.3.1).
  const authority = headers[":authority"] as string | undefined;
  if (authority !== undefined) plain.host = authority;
  for (const name in headers) {
    if (!isPseudo(name) && (name !== "host" || authority === undefined)) plain[name] = headers[name];
  }
  // HTTP/2 bodies need no length. On HTTP/1.1 such a body is chunked, and body parsers look for that header.
  if (plain["content-length"] === undefined && !stream.endAfterHeaders) {
    plain["transfer-encoding"] = "chunked";
  }
  return plain;
}
