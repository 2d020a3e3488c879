import type { Server as HttpServer, RequestListener } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { refuseRequest } from "../lib/config/not-called.js";
import type { CloseReport } from "./close.js";
import type { Server } from "./connections.js";
import type { ServeOptions } from "./options.js";

export type { CloseReport } from "./close.js";
export { type ExpressServerOptions, expressServerOptions } from "./express-server-options.js";
export type { DrainOptions, Probes, ServeOptions, TlsOptions } from "./options.js";

/**
 * A server that listens. `ServerType`: what `server` is; without `http2` it is `http.Server | https.Server`, which is what
 * ws and socket.io take.
 */
export interface Served<ServerType extends Server | HttpsServer = Server | HttpsServer> {
  /** Where to reach it from this machine: `http://localhost:8080`; `unix:/path` for a Unix socket. */
  readonly url: string;
  /** Node's server; in the primary process of several workers there is none, and to ask for it is an error. */
  readonly server: ServerType;
  /** The process ids of the workers; empty if there are none but this process. */
  readonly workers: readonly number[];
  /**
   * Aborts when the shutdown begins: at `close()`, a signal or an uncaught error, after `drain.delayMs`. From then on an
   * event stream that writes nothing for a second is ended, and a WebSocket waits for the goodbye that you send it.
   * In a handler it is `contextOf(req).closing`.
   */
  readonly closing: AbortSignal;
  /**
   * Shuts down without losing a response, and tells how it went. Never rejects; a second call gives the same promise.
   * The process goes on: only a signal or an uncaught error ends it.
   */
  close(): Promise<CloseReport>;
  /** Fulfilled when the server has closed, whatever the reason. */
  readonly closed: Promise<CloseReport>;
}

/**
 * Listens, and sees the app through to its end: HTTP, HTTPS and HTTP/2, probes, time limits, errors that nobody
 * caught, signals, and a shutdown that loses no response.
 *
 * Instead of `app.listen`. SIGTERM and SIGINT close the server and then end the process, with exit code 0 if nothing
 * had to be cut; the same signal again ends it at once.
 *
 * @example
 * const { url } = await serve(app, { port: 8080 });
 *
 * @example
 * const served = await serve(app, {
 *   port: 8443,
 *   tls: { key: readFileSync("key.pem"), cert: readFileSync("cert.pem") },
 *   http2: true,
 *   workers: "auto",
 *   probes: { live: "/livez", ready: "/readyz" },
 * });
 * const { forced, tasksLeft } = await served.closed;
 *
 * @throws {ConfigError} (as a rejection) all that is wrong with the options, at once
 * @throws {Error} (as a rejection) with Node's `code` if it cannot listen: `EADDRINUSE`, `EACCES`
 */
export function serve(
  app: RequestListener,
  options?: ServeOptions & { readonly http2?: false | undefined },
): Promise<Served<HttpServer | HttpsServer>>;
export function serve(app: RequestListener, options: ServeOptions | undefined): Promise<Served>;
export function serve(app: RequestListener, options?: ServeOptions): Promise<Served> {
  refuseRequest("serve()", app); // not as a rejection: Express 4 would not hear of it
  return begin(app, options);
}

async function begin(app: RequestListener, options: ServeOptions | undefined): Promise<Served> {
  const { start } = await import("./start.js");
  return start(app, options);
}
