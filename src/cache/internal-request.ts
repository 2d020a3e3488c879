import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { stateOf } from "../lib/request/state.js";

/** What an app sees of a client's connection. */
interface Addresses {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly encrypted?: boolean | undefined;
  readonly remoteFamily?: string | undefined;
}

/** The socket of an internal request: drops what is written to it. */
class NullSocket extends Duplex {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly encrypted: boolean | undefined;
  readonly remoteFamily: string | undefined;

  constructor(origin: Addresses) {
    super({ autoDestroy: false });
    this.remoteAddress = origin.remoteAddress;
    this.remotePort = origin.remotePort;
    this.localAddress = origin.localAddress;
    this.localPort = origin.localPort;
    this.encrypted = origin.encrypted;
    this.remoteFamily = origin.remoteFamily;
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done();
  }

  address(): object {
    return {};
  }
  /** As for a client without a certificate. */
  getPeerCertificate(): object {
    return {};
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  destroySoon(): void {
    this.destroy();
  }
  resetAndDestroy(): this {
    return this.destroy();
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

export interface InternalRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Resolves when the response has ended, whole or not. */
  readonly ended: Promise<void>;
  /** Ends it as if its client had left. */
  readonly abort: () => void;
}

/**
 * A GET for the app that no client has sent. The app answers it as it answers a client; the socket drops the answer and
 * has the addresses of the request `like`. Its request state says that it is internal.
 */
export function internalRequest(
  like: IncomingMessage,
  url: string,
  headers: IncomingHttpHeaders,
): InternalRequest {
  const http = process.getBuiltinModule("node:http");
  const socket = new NullSocket((like.socket ?? {}) as Addresses);
  const req = new http.IncomingMessage(socket as never);
  req.method = "GET";
  req.url = url;
  req.httpVersion = "1.1";
  req.httpVersionMajor = 1;
  req.httpVersionMinor = 1;
  req.headers = headers;
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [String(value)]) req.rawHeaders.push(name, one);
  }
  req.complete = true;
  req.push(null);
  stateOf(req).internal = true;

  const res = new http.ServerResponse(req);
  res.assignSocket(socket as never);
  const ended = new Promise<void>((resolve) => res.once("close", resolve));
  res.once("finish", () => {
    res.detachSocket(socket as never);
    process.nextTick(close, res);
    socket.destroy();
  });
  res.once("close", () => {
    req.once("end", () => req.destroy());
    req.resume();
  });
  return { req, res, ended, abort: () => void socket.destroy() };
}

/** Closes the response as Node's server does. If the socket was destroyed before, Node has already done it. */
function close(res: ServerResponse & { _closed?: boolean }): void {
  if (res._closed) return;
  res._closed = true;
  res.destroyed = true;
  res.emit("close");
}
