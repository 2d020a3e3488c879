import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "../lib/log/logger.js";
import { cluster } from "./cluster.js";
import { isTlsServer, type Server } from "./connections.js";
import { bridgeHttp2 } from "./http2/index.js";
import type { ServePlan } from "./options.js";
import { removeStaleSocketFile } from "./socket-file.js";

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
  if (isHttp2Server(server)) bridgeHttp2(app);
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

function isHttp2Server(server: Server): boolean {
  return "updateSettings" in server;
}

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
