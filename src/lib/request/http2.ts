import type { IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";

/**
 * The HTTP/2 stream of a request; undefined for a request of HTTP/1.
 *
 * The stream decides and not the version alone: that is what the client wrote, and Node's parser lets
 * `GET / HTTP/2.0` pass on a connection of HTTP/1. The version is asked first because that costs least.
 */
export function streamOf(req: IncomingMessage): ServerHttp2Stream | undefined {
  if (!(req.httpVersionMajor >= 2)) return undefined;
  const { stream } = req as unknown as { readonly stream?: ServerHttp2Stream };
  return typeof stream?.respond === "function" ? stream : undefined;
}

const endedHere = new WeakSet<object>();

/** Notes that it is this side that gives a stream up: Node tells of it as of a client that leaves. */
export function noteEndedHere(stream: object): void {
  endedHere.add(stream);
}

/** Whether `noteEndedHere` was called before the client could leave. */
export function isEndedHere(stream: object): boolean {
  return endedHere.has(stream);
}

/** Whether a request came over HTTP/2. */
export function isHttp2(req: IncomingMessage): boolean {
  return req.httpVersionMajor >= 2 && streamOf(req) !== undefined;
}
