import type { RequestListener } from "node:http";
import type { Server } from "./connections.js";
import { expressServerOptions, isExpressApp } from "./express-server-options.js";
import { safeResponseClass } from "./http2/guarded.js";
import { http2ServerOptions } from "./http2/index.js";
import type { ServePlan } from "./options.js";

/** Time limits of a connection, in milliseconds; each can be changed on `Served.server`. */
const LIMITS = {
  /** For the head of a request: until it has arrived, only its connection is in use. */
  headersTimeout: 15_000,
  /** For the whole request. */
  requestTimeout: 300_000,
  /** Between two requests. Longer than the minute that load balancers keep a connection, so that they close it first. */
  keepAliveTimeout: 65_000,
};

const SETTINGS = {
  ...LIMITS,
  /** How often Node checks the limits. */
  connectionsCheckingInterval: 1_000,
  /** `checkHead` does it: Node logs nothing, and accepts a second Host. */
  requireHostHeader: false,
};

/** For a TLS handshake. */
const HANDSHAKE_MS = 10_000;

export function createServer(app: RequestListener, { tls, http2 }: ServePlan): Server {
  const options = {
    ...SETTINGS,
    handshakeTimeout: HANDSHAKE_MS,
    noDelay: true,
    ...(isExpressApp(app) ? expressServerOptions(app) : {}),
    ...tls,
  };
  if (tls === undefined) return process.getBuiltinModule("node:http").createServer(options);
  if (!http2) return process.getBuiltinModule("node:https").createServer(options);
  const server = process.getBuiltinModule("node:http2").createSecureServer({
    ...options,
    Http2ServerResponse: safeResponseClass(),
    ...http2ServerOptions(app),
    allowHTTP1: true,
  });
  return Object.assign(server, SETTINGS); // for HTTP/1.1, Node before 24 ignores them as options
}
