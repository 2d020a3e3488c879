import type { Server as HttpServer, RequestListener } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { refuseRequest } from "../lib/config/not-called.js";
import type { Served, ServeOptions } from "./options.js";

export { type ExpressServerOptions, expressServerOptions } from "./express-server-options.js";
export type { CloseReport, DrainOptions, Probes, Served, ServeOptions, TlsOptions } from "./options.js";

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
  const { start } = await import("./workers.js");
  return start(app, options);
}
