import type { Server as HttpServer } from "node:http";
import type { Http2SecureServer } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import type { ServerOpts } from "node:net";
import type { TlsOptions as NodeTlsOptions } from "node:tls";
import type { ForeignOptions } from "../lib/config/checker.js";
import type { HealthChecks } from "../lib/health/options.js";
import type { Logger } from "../lib/log/logger.js";

/**
 * The options of Node's `tls.createServer`: `key` and `cert`, or `pfx`, or `SNICallback`; `passphrase`, `ca`,
 * `requestCert`, `minVersion` and the others. `http2` sets ALPN.
 *
 * @see https://nodejs.org/api/tls.html#tlscreateserveroptions-secureconnectionlistener
 */
export type TlsOptions = Omit<NodeTlsOptions, "ALPNProtocols" | "ALPNCallback" | keyof ServerOpts>;

/** The times of a shutdown, in milliseconds. */
export interface DrainOptions {
  /**
   * How long the server accepts connections as before, while its readiness probe already answers 503.
   * @defaultValue `0`
   */
  readonly delayMs?: number | undefined;
  /**
   * How long idle connections are kept for a request that may be on its way; it is still answered, with
   * `Connection: close`. @defaultValue `500`
   */
  readonly idleGraceMs?: number | undefined;
  /** When everything that is still open is reset, counted from the end of `delayMs`. @defaultValue `8_000` */
  readonly deadlineMs?: number | undefined;
}

export interface Probes {
  /** Path that answers 200 as long as the process runs. @defaultValue none */
  readonly live?: string | undefined;
  /** Path that answers 200 while the server accepts requests, 503 from the start of a shutdown. @defaultValue none */
  readonly ready?: string | undefined;
  /**
   * Checks that `ready` depends on, by name, as `health` takes them: 503 if a required one fails or has no result yet.
   * @defaultValue none
   */
  readonly checks?: HealthChecks | undefined;
}

export interface ServeOptions {
  /**
   * A port (0: any free one), as a number or digits, or the absolute path of a Unix socket, or a Windows pipe
   * (`\\\\.\\pipe\\name` in source code). @defaultValue `8080`
   */
  readonly port?: number | string | undefined;
  /** The address or name to listen on. @defaultValue all addresses */
  readonly host?: string | undefined;
  /**
   * Your own server, to which socket.io may be attached already. It is drained, probed and ended like one of ours, with
   * its own settings. You call its `listen`, before or after `serve`, which waits for it. Not beside `port`, `host`,
   * `tls`, `http2` or `workers`. @defaultValue none
   */
  readonly server?: HttpServer | HttpsServer | Http2SecureServer | undefined;
  /** Key and certificate, for HTTPS. @defaultValue none */
  readonly tls?: TlsOptions | undefined;
  /** HTTP/2 beside HTTP/1.1, on the same port; needs `tls` and Express 5. @defaultValue `false` */
  readonly http2?: boolean | undefined;
  /**
   * Signals that start a shutdown, after which the process ends; `false` for none.
   * @defaultValue `["SIGTERM", "SIGINT"]`
   */
  readonly signals?: readonly NodeJS.Signals[] | false | undefined;
  /** The times of a shutdown. */
  readonly drain?: DrainOptions | undefined;
  /** Processes that share the port: a number, or "auto" for one per core. @defaultValue `1` */
  readonly workers?: number | "auto" | undefined;
  /** Gets the server's own messages. @defaultValue standard error */
  readonly logger?: Logger | undefined;
  /**
   * What happens at an uncaught error: `"drain"` answers its request with a 500, lets all others finish, and ends the
   * process with exit code 1; `false` leaves it to Node. @defaultValue `"drain"`
   */
  readonly onUncaught?: "drain" | false | undefined;
  /** Paths that are answered before the app, for load balancers, and the checks that decide. */
  readonly probes?: Probes | undefined;
}

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

/** How a shutdown went. */
export interface CloseReport {
  /** Whether something was still open, or a task still running, at the deadline, and was ended by force. */
  readonly forced: boolean;
  /** From the call of `close` to the end, in milliseconds. */
  readonly durationMs: number;
  /** The names of the background tasks that had not ended. */
  readonly tasksLeft: readonly string[];
  /** The uncaught error that caused the shutdown. */
  readonly error?: unknown;
}

export type Server = HttpServer | Http2SecureServer;

const CLOSED = "await served.closed, and do it then";
const DEADLINE = "it is drain: { deadlineMs }";
const EXIT = "it is not needed: the process ends by itself, with 1 where it was forced";

/** Option names of other packages, and their equivalent here. */
export const FOREIGN: ForeignOptions = {
  "@godaddy/terminus": {
    healthChecks: "it is probes: { live, ready, checks }",
    signal: "signals",
    timeout: DEADLINE,
    "sendFailuresDuringShutdown onSendFailureDuringShutdown": "ready is always 503 during a shutdown",
    beforeShutdown: "it is drain: { delayMs }",
    "onSignal onShutdown": CLOSED,
    useExit0: EXIT,
    headers: "there is none: cors does not stand before the probes",
    statusOk: "there is none: a probe answers 200",
    "statusOkResponse statusErrorResponse": "there is none: the body of a probe is fixed",
    statusError: "there is none: a probe answers 503",
    caseInsensitive: "there is none: the paths are compared exactly",
  },
  "@nestjs/terminus": {
    gracefulShutdownTimeoutMs: "it is drain: { delayMs }",
    errorLogStyle: "there is none: the logger decides",
  },
  "http-graceful-shutdown": {
    timeout: DEADLINE,
    development: "there is none: close() is as quick as its requests",
    forceExit: EXIT,
    preShutdown: "it is drain: { delayMs }",
    "onShutdown finally": CLOSED,
  },
  "http-terminator": { gracefulTerminationTimeout: DEADLINE },
  lightship: {
    gracefulShutdownTimeout: DEADLINE,
    shutdownDelay: "it is drain: { delayMs }",
  },
};
