import type { Stats } from "node:fs";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "../lib/log/logger.js";
import { cluster } from "./cluster.js";
import { isTlsServer } from "./connections.js";
import { expressServerOptions, isExpressApp } from "./express-server-options.js";
import { bridgeHttp2, http2ServerOptions } from "./http2/bridge.js";
import { safeResponseClass } from "./http2/response-body.js";
import type { Server } from "./options.js";
import type { ServePlan } from "./plan.js";

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

type Where = ServePlan["where"];

/** Makes the server listen; if it cannot, the error says why and what to do. */
export async function bind(server: Server, where: Where): Promise<void> {
  try {
    await tryToListen(server, where).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE" || !("path" in where)) throw error;
      // The primary listens for all workers: if several of them cleaned up, one would remove the new file.
      if (cluster().isWorker || !(await removeStaleSocketFile(where.path))) throw error;
      await tryToListen(server, where);
    });
  } catch (error) {
    throw explainError(error as NodeJS.ErrnoException, where);
  }
}

function tryToListen(server: Server, where: Where): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(error);
    server.once("error", onError);
    server.listen("path" in where ? { path: where.path } : where, () => {
      server.removeListener("error", onError);
      resolve();
    });
  });
}

/** Waits until a given server listens; the program that made it calls `listen`. */
export async function waitUntilListening(
  server: Server,
  app: RequestListener,
  logger: Logger,
): Promise<void> {
  if ("updateSettings" in server) bridgeHttp2(app); // a server of HTTP/2
  if (server.listening) return;
  const reminder = setTimeout(() => {
    logger.warn(
      {},
      "serve() waits for the given server: call its listen(), before or without waiting for serve()",
    );
  }, REMINDER_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.once("listening", () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
  } finally {
    clearTimeout(reminder);
  }
}

const REMINDER_MS = 3_000;

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "it is in use. End the program that listens there, or choose another (0 takes any free port)",
  EACCES: "the system does not allow it. Ports below 1024 need privileges: choose another",
  EADDRNOTAVAIL: "this machine has no such address. Leave host out to listen on all",
  ENOTFOUND: "the host is not known. Leave it out to listen on all addresses",
};

const REASONS_OF_PATHS: Readonly<Record<string, string>> = {
  EADDRINUSE:
    "it is in use. End the program that listens there, or delete the file if none is left that uses it",
  EACCES: "its directory does not exist, or this user may not write to it", // Node's code for a missing directory, too
};

function explainError(error: NodeJS.ErrnoException, where: Where): Error {
  const { code = "" } = error;
  const isPath = "path" in where;
  const target = isPath
    ? where.path
    : `${where.host === undefined ? "port " : `${where.host}:`}${where.port}`;
  const reason = (isPath ? REASONS_OF_PATHS : REASONS)[code] ?? error.message;
  return Object.assign(new Error(`serve(): cannot listen on ${target}: ${reason}`, { cause: error }), {
    code: error.code,
  });
}

/** The server's address as seen from this machine. */
export function urlOf(server: Server): string {
  const address = server.address() as AddressInfo | string;
  if (typeof address === "string") return `${address.startsWith("\\\\") ? "pipe" : "unix"}:${address}`;
  const isAny = address.address === "::" || address.address === "0.0.0.0";
  const host = isAny ? "localhost" : address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `${isTlsServer(server) ? "https" : "http"}://${host}:${address.port}`;
}

/** Returns a function that removes this file of a Unix socket, unless another file has replaced it. */
export function socketFileRemover(path: string): () => void {
  const created = statOf(path);
  return () => {
    if (created !== undefined && isSame(created, statOf(path)))
      process.getBuiltinModule("node:fs").unlinkSync(path);
  };
}

/**
 * Removes the file of a Unix socket on which no program listens any more, because it was killed. Returns whether it has
 * removed it. A file that is no socket, or on which a program listens, stays.
 */
export async function removeStaleSocketFile(path: string): Promise<boolean> {
  const found = statOf(path);
  if (!found?.isSocket() || !(await isUnused(path))) return false;
  if (!isSame(found, statOf(path))) return false; // another program has replaced it
  process.getBuiltinModule("node:fs").unlinkSync(path);
  return true;
}

function statOf(path: string): Stats | undefined {
  try {
    return process.getBuiltinModule("node:fs").lstatSync(path);
  } catch {
    return undefined;
  }
}

/** The inode is not enough: a new file may get the number of a removed one. */
function isSame(one: Stats, other: Stats | undefined): boolean {
  return other !== undefined && one.ino === other.ino && one.mtimeMs === other.mtimeMs;
}

function isUnused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = process.getBuiltinModule("node:net").connect({ path });
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(code === "ECONNREFUSED"));
  });
}
