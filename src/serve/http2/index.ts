import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { bridge, classesFor, isExpressApp } from "./bridge.js";

/**
 * Makes an Express app ready for `http2Server.on("request", app)`: for HTTP/2, and for HTTP/1.1 beside it. Express
 * itself gives all requests the prototypes of HTTP/1.1, and then the first HTTP/2 request ends the process.
 *
 * It may be called again. Apps that are mounted on it, before or later, need no call. What is not an Express app (a plain
 * listener, a router) is not changed, and gets Node's objects.
 *
 * On HTTP/2 the app then has the API of HTTP/1.1: `req.headers` with the host and without pseudo-headers, body parsers
 * that work without a length, header methods that return the response and refuse control characters, `res.writeHead` in
 * all its forms, `res.setHeaders`, `res.destroyed`, a 'finish' only after a complete response, and an error in a body
 * whose client has left. What HTTP/2 forbids (`Connection`, `Keep-Alive`, `Transfer-Encoding`, a status message) is
 * dropped.
 *
 * What stays different:
 * - `req instanceof http.IncomingMessage` and `res instanceof http.ServerResponse` are false, and what a program adds to
 *   these prototypes is missing.
 * - `req.httpVersion` is "2.0"; `req.rawHeaders` has the pseudo-headers, and no host.
 * - `req.socket` acts on the stream in `destroy`, `end`, `on`, `once` and `emit`, on the session in `setTimeout`, and
 *   otherwise on the connection of all streams; writing to it or reading from it is an error.
 * - A status above 599 is an error, as in the standard.
 */
export function bridgeHttp2(app: unknown): void {
  if (isExpressApp(app)) bridge(app);
}

/** Options for `http2.createServer` and `http2.createSecureServer`. */
export interface Http2ServerOptions {
  readonly Http2ServerRequest?: typeof Http2ServerRequest;
  readonly Http2ServerResponse?: typeof Http2ServerResponse;
}

/**
 * Bridges the app, and returns options with which a server creates its HTTP/2 objects with the app's prototypes: on Node
 * 20 and 22 this halves the cost of a small request. Empty for anything but an Express app.
 */
export function http2ServerOptions(app: unknown): Http2ServerOptions {
  if (!isExpressApp(app)) return {};
  bridge(app);
  const classes = classesFor(app);
  if (classes === undefined) return {}; // another copy of this package has bridged it
  return {
    Http2ServerRequest: classes.Request as typeof Http2ServerRequest,
    Http2ServerResponse: classes.Response as typeof Http2ServerResponse,
  };
}
