import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { bridge, classesFor, isExpressApp } from "./bridge.js";

/**
 * Makes an Express app ready for `http2Server.on("request", app)`: for HTTP/2, and for HTTP/1.1 beside it. Express
 * itself gives all requests the prototypes of HTTP/1.1, and then the first one of HTTP/2 ends the process.
 *
 * Can be repeated. Apps that are mounted on it, sooner or later, need nothing of their own. What is not an Express app
 * (a plain listener, a router) is left alone, and gets Node's objects as they are.
 *
 * On HTTP/2 the app then finds what it knows from HTTP/1.1: `req.headers` with the host and without pseudo-headers,
 * bodies without a length for its parsers, header methods that return the response and refuse control characters,
 * `res.writeHead` in all its forms, `res.setHeaders`, `res.destroyed`, a 'finish' that means it, and an error in a body
 * whose client has left. What HTTP/2 forbids (`Connection`, `Keep-Alive`, `Transfer-Encoding`, a status message...) is
 * dropped without a word.
 *
 * What stays different:
 * - `req instanceof http.IncomingMessage` and `res instanceof http.ServerResponse` are false, and what someone has put
 *   on these prototypes is not there.
 * - `req.httpVersion` is "2.0"; `req.rawHeaders` has the pseudo-headers, and no host.
 * - `req.socket` stands for the stream in `destroy`, `end`, `on`, `once` and `emit`, for the session in `setTimeout`,
 *   and else for the connection of all streams; to write to it or to read from it is an error.
 * - A status above 599 is an error, as the standard has it.
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
 * Bridges the app, and gives the options with which a server makes its HTTP/2 objects with the app's prototypes in the
 * first place: on Node 20 and 22 this halves the cost of a small request. Empty for what is not an Express app.
 */
export function http2ServerOptions(app: unknown): Http2ServerOptions {
  if (!isExpressApp(app)) return {};
  bridge(app);
  const classes = classesFor(app);
  if (classes === undefined) return {}; // another copy of this package was here first
  return {
    Http2ServerRequest: classes.Request as typeof Http2ServerRequest,
    Http2ServerResponse: classes.Response as typeof Http2ServerResponse,
  };
}
