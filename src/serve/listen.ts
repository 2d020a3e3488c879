import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CloseReport, closeServer } from "./close.js";
import { Connections, type Server } from "./connections.js";
import { expressServerOptions, isExpressApp } from "./express-server-options.js";
import { bridgeHttp2 } from "./http2/index.js";
import type { ServePlan } from "./options.js";
import { ownAnswer, sendOwn } from "./own-answers.js";
import { join, type Participant } from "./process.js";
import { answerRefused } from "./refused.js";
import { expiry } from "./tls.js";

/** Time limits of a connection, in milliseconds; each can be changed on `Served.server`. */
const LIMITS = {
  /** For the whole head of a request: a slow one holds a connection and nothing else. */
  headersTimeout: 15_000,
  /** For the whole request. */
  requestTimeout: 300_000,
  /** Between two requests. Longer than the minute for which load balancers keep a connection: they must end it first. */
  keepAliveTimeout: 65_000,
};
/** How often the limits are looked at. */
const CHECK_MS = 1_000;
/** For a TLS handshake. */
const HANDSHAKE_MS = 10_000;

export interface Listening {
  readonly url: string;
  readonly server: Server;
  close(cause?: { readonly error: unknown }): Promise<CloseReport>;
  readonly closed: Promise<CloseReport>;
}

/** Serves an app in this process. */
export async function listen(
  app: RequestListener,
  plan: ServePlan,
  onClosing: () => void = () => {},
): Promise<Listening> {
  const server = createServer(app, plan);
  const connections = new Connections(server, plan.tls !== undefined);
  answerRefused(server, connections, plan.logger);
  let isDraining = false;
  server.on("request", (req: IncomingMessage, res: ServerResponse) => {
    if (!connections.begin(req, res)) return;
    const own = ownAnswer(req, plan.probes, isDraining);
    if (own === undefined) app(req, res);
    else sendOwn(req, res, own);
  });
  await start(server, plan.where);
  warnOfExpiry(plan);

  let report!: (report: CloseReport) => void;
  const closed = new Promise<CloseReport>((resolve) => {
    report = resolve;
  });
  const begun = performance.now();
  const since = () => performance.now() - begun;
  let closing = false;
  const participant: Participant = {
    signals: plan.signals,
    onUncaught: plan.onUncaught,
    logger: plan.logger,
    close(cause) {
      if (!closing) {
        closing = true;
        const start = since();
        isDraining = true;
        onClosing();
        shutDown(server, connections, plan, cause).then((result) => {
          leave();
          report({ ...result, durationMs: since() - start, ...cause });
        });
      }
      return closed;
    },
  };
  const leave = join(participant);
  server.once("close", () => {
    if (closing) return; // else the server was closed by its own method
    closing = true;
    leave();
    report({ forced: false, durationMs: 0, tasksLeft: [] });
  });
  return { url: urlOf(server, plan), server, close: participant.close, closed };
}

async function shutDown(
  server: Server,
  connections: Connections,
  { drain }: ServePlan,
  cause: object | undefined,
): Promise<Pick<CloseReport, "forced" | "tasksLeft">> {
  // After an uncaught error nothing is to be waited for: the process is not sound any more.
  if (drain.delayMs > 0 && cause === undefined) {
    await new Promise((resolve) => setTimeout(resolve, drain.delayMs));
  }
  return closeServer(server, connections, drain);
}

function createServer(app: RequestListener, { tls, http2 }: ServePlan): Server {
  const options = {
    ...LIMITS,
    connectionsCheckingInterval: CHECK_MS,
    handshakeTimeout: HANDSHAKE_MS,
    ...(isExpressApp(app) ? expressServerOptions(app) : {}),
    ...tls,
  };
  if (tls === undefined) return process.getBuiltinModule("node:http").createServer(options);
  if (!http2) return process.getBuiltinModule("node:https").createServer(options);
  bridgeHttp2(app);
  const server = process.getBuiltinModule("node:http2").createSecureServer({ ...options, allowHTTP1: true });
  return Object.assign(server, LIMITS); // Node takes them for HTTP/1.1 as properties only
}

function start(server: Server, where: ServePlan["where"]): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException) => reject(explain(error, where));
    server.once("error", refused);
    server.listen("path" in where ? { path: where.path } : where, () => {
      server.removeListener("error", refused);
      resolve();
    });
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "it is in use. End the program that listens there, or choose another (0 takes any free port)",
  EACCES: "the system does not allow it. Ports below 1024 need privileges: choose another",
  EADDRNOTAVAIL: "this machine has no such address. Leave host out to listen on all",
  ENOTFOUND: "the host is not known. Leave it out to listen on all addresses",
};

function explain(error: NodeJS.ErrnoException, where: ServePlan["where"]): Error {
  const target =
    "path" in where ? where.path : `${where.host === undefined ? "port " : `${where.host}:`}${where.port}`;
  const reason = REASONS[error.code ?? ""] ?? error.message;
  const stale =
    error.code === "EADDRINUSE" && "path" in where
      ? ", or delete the file if no server is left that uses it"
      : "";
  return Object.assign(
    new Error(`serve(): cannot listen on ${target}: ${reason}${stale}`, { cause: error }),
    {
      code: error.code,
    },
  );
}

function urlOf(server: Server, { tls }: ServePlan): string {
  const address = server.address() as AddressInfo | string;
  if (typeof address === "string") return `unix:${address}`;
  const isAny = address.address === "::" || address.address === "0.0.0.0";
  const host = isAny ? "localhost" : address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `${tls === undefined ? "http" : "https"}://${host}:${address.port}`;
}

function warnOfExpiry({ tls, logger }: ServePlan): void {
  const expired = tls === undefined ? undefined : expiry(tls);
  if (expired !== undefined)
    logger.warn({ validTo: expired }, "the TLS certificate has expired: clients will refuse it");
}
