import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { getterOf, inherit } from "./inherit.js";
import { closedSocket, headSocket, truncate, truncateOnDestroy } from "./stream.js";

const HEADERS = Symbol("express-portico.http2-headers");
const CLOSED = Symbol("express-portico.http2-closed");
const WHOLE = Symbol("express-portico.http2-whole");

interface Request extends Omit<Http2ServerRequest, "headers" | "socket" | "connection"> {
  headers: IncomingHttpHeaders;
  readonly socket: unknown;
  readonly connection: unknown;
  readonly res?: { readonly closed: boolean; emit(event: string): boolean };
  [HEADERS]?: IncomingHttpHeaders;
  /** The body's end had come when the client left. */
  [WHOLE]?: true;
  [CLOSED]?: true;
}

/** What a request of HTTP/2 must have to be like one of HTTP/1.1; the end of the chain of `app.request`. */
export function requestBase(prototype: Http2ServerRequest): object {
  const { emit, setTimeout } = prototype as Http2ServerRequest & Pick<IncomingMessage, "setTimeout">;
  const headersOf = getterOf<Request, IncomingHttpHeaders>(prototype, "headers");
  const completeOf = getterOf<Request, boolean>(prototype, "complete");
  const socketOf = getterOf<Request, unknown>(prototype, "socket");

  const members = {
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

    /** Node's is true for a request that was given up, and false for a whole one until it is read. */
    get complete() {
      if (this.stream.endAfterHeaders) return true;
      return this.aborted ? this[WHOLE] === true : completeOf.call(this);
    },

    get socket() {
      truncateOnDestroy(this.stream);
      const socket = socketOf.call(this) as object;
      if (this.stream.session === undefined) return closedSocket(this.stream, socket);
      return isHead(this.stream) ? headSocket(this.stream, socket) : socket;
    },
    get connection() {
      return this.socket;
    },

    /**
     * A body whose client has left before its end must fail. Node ends it, and what came of it would pass for the
     * whole (`for await`, `pipeline`).
     */
    emit(event: string | symbol, ...values: unknown[]) {
      if (event === "aborted") {
        // Node waits for what is being written then, which is never sent: the stream, and what it holds, would stay.
        if (this.stream.rstCode === 0) setImmediate(() => this.stream.destroy());
        if (this.stream.readableEnded) this[WHOLE] = true;
        else if (!this.complete && !this.destroyed) {
          this.destroy(Object.assign(new Error("aborted"), { code: "ECONNRESET" }));
        }
      } else if (event === "close") {
        if (this[CLOSED]) return false; // emitted by the request itself and by its stream
        this[CLOSED] = true;
        closeHead(this);
      } else if (event === "error" && values[0] === this.errored && this.listenerCount("error") === 0) {
        // As HTTP/1.1 does with a request that was aborted. Readers may remove their listeners on 'aborted'.
        return false;
      }
      return emit.call(this as unknown as Http2ServerRequest, event as string, ...values);
    },

    /** As with HTTP/1.1, to destroy a request that is not read to its end is to drop its client. */
    _destroy(error: Error | null, callback: (error?: Error | null) => void) {
      const isWhole = this.readableEnded && this.complete;
      callback(error); // first, so that 'error' comes before 'close'
      if (isWhole) return;
      truncate(this.stream);
      // One that is being closed goes by itself, after its RST_STREAM has gone out.
      if (!this.stream.destroyed && !this.stream.closed) this.stream.destroy(error ?? undefined);
    },

    setTimeout(msecs: number, callback?: () => void) {
      setTimeout.call(this as never, msecs, callback);
      return this;
    },
  } as Partial<Request> & ThisType<Request>;
  return inherit(prototype, members);
}

/** Node emits no 'close' on the response to a HEAD request until somebody ends it, however long its client has left. */
function closeHead({ stream, res }: Request): void {
  if (!isHead(stream) || res === undefined) return;
  process.nextTick(() => res.closed || res.emit("close"));
}

function isHead(stream: object): boolean {
  return (stream as { readonly headRequest?: boolean }).headRequest === true;
}

function isPseudo(name: string): boolean {
  return name.charCodeAt(0) === 58; // ":"
}

/**
 * The headers as they were sent over HTTP/1.1: an ordinary object, without pseudo-headers, with the host.
 * Node's own object stays as it is, for other listeners have it too.
 */
function plainHeaders({ stream }: Request, headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const plain: IncomingHttpHeaders = {};
  // The authority is what the request was routed by. A Host beside it has no say (RFC 9113 section 8.3.1).
  const authority = headers[":authority"] as string | undefined;
  if (authority !== undefined) plain.host = authority;
  for (const name in headers) {
    if (!isPseudo(name) && (name !== "host" || authority === undefined)) plain[name] = headers[name];
  }
  // HTTP/2 bodies need no length. With HTTP/1.1 a body without one is chunked, and that is how body parsers know that
  // there is one.
  if (plain["content-length"] === undefined && !stream.endAfterHeaders) {
    plain["transfer-encoding"] = "chunked";
  }
  return plain;
}
