import type { Server as HttpServer, RequestListener } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { refuseRequest } from "../lib/config/not-called.js";
import type { Server } from "./connections.js";
import type { ServeOptions } from "./options.js";
import type { CloseReport } from "./shutdown.js";

export { type ExpressServerOptions, expressServerOptions } from "./express-server-options.js";
export type { DrainOptions, Probes, ServeOptions, TlsOptions } from "./options.js";
export type { CloseReport } from "./shutdown.js";

/**
 * A server that listens. `ServerType` is the type of `server`: without `http2` it is `http.Server | https.Server`, which
 * ws and socket.io accept.
 */
export interface Served<ServerType extends Server | HttpsServer = Server | HttpsServer> {
  /** Its address as seen from this machine: `http://localhost:8080`; `unix:/path` for a Unix socket. */
  readonly url: string;
  /** Node's server. The primary process has none: there, reading this property throws. */
  readonly server: ServerType;
  /** The process ids of the workers; empty without workers. */
  readonly workers: readonly number[];
  /**
   * Aborts when the shutdown begins: at `close()`, a signal or an uncaught error, after `drain.delayMs`. From then on an
   * event stream that writes nothing for a second is ended. WebSockets are not ended: close yours when it aborts.
   * In a handler it is `contextOf(req).closing`.
   */
  readonly closing: AbortSignal;
  /**
   * Shuts down without losing a response. Never rejects; a second call returns the same promise.
   * The process continues: only a signal or an uncaught error ends it.
   */
  close(): Promise<CloseReport>;
  /** Fulfilled when the server has closed, for whatever reason. */
  readonly closed: Promise<CloseReport>;
}

/**
 * Runs an app in production: HTTP, HTTPS and HTTP/2, probes, time limits, uncaught errors, signals, and a shutdown that
 * loses no response.
 *
 * Use it in place of `app.listen`. SIGTERM and SIGINT close the server and then end the process, with exit code 0, or 1
 * if something had to be ended by force. Another signal, more than a second later, ends the process at once.
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
 * @throws {ConfigError} (as a rejection) with all problems of the options at once
 * @throws {Error} (as a rejection) with Node's `code` if it cannot listen: `EADDRINUSE`, `EACCES`
 *
 * @see docs/serve.md
 */
export function serve(
  app: RequestListener,
  options?: ServeOptions & { readonly http2?: false | undefined },
): Promise<Served<HttpServer | HttpsServer>>;
export function serve(app: RequestListener, options: ServeOptions | undefined): Promise<Served>;
export function serve(app: RequestListener, options?: ServeOptions): Promise<Served> {
  refuseRequest("serve()", app); // not as a rejection: Express 4 would ignore it
  return begin(app, options);
}

async function begin(app: RequestListener, options: ServeOptions | undefined): Promise<Served> {
  const { start } = await import("./start.js");
  return start(app, options);
}
