import type { Server as HttpServer } from "node:http";
import type { Http2SecureServer } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import { Checker, isBag } from "../lib/config/checker.js";
import { HIDDEN } from "../lib/config/config-error.js";
import { isExpress4 } from "../lib/express/app.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import { guarded } from "../lib/log/stderr-logger.js";
import { availableCores } from "./cluster.js";
import { isExpressApp } from "./express-server-options.js";
import type { DrainOptions, Probes, ServeOptions, TlsOptions } from "./options.js";
import { FOREIGN } from "./options.js";
import { checkTls } from "./tls.js";

/** Checked options. */
export interface ServePlan {
  readonly server: HttpServer | HttpsServer | Http2SecureServer | undefined;
  readonly where: { readonly path: string } | { readonly port: number; readonly host: string | undefined };
  readonly tls: TlsOptions | undefined;
  readonly http2: boolean;
  readonly signals: readonly NodeJS.Signals[];
  readonly drain: { readonly delayMs: number; readonly idleGraceMs: number; readonly deadlineMs: number };
  readonly workers: number;
  readonly logger: Logger;
  readonly onUncaught: "drain" | false;
  readonly probes: { readonly live: string | undefined; readonly ready: string | undefined };
}

const KNOWN = [
  "server",
  "port",
  "host",
  "tls",
  "http2",
  "signals",
  "drain",
  "workers",
  "logger",
  "onUncaught",
  "probes",
] as const satisfies (keyof ServeOptions)[];

const DEFAULT_PORT = 8080;
const DEFAULT_SIGNALS: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];
const MAX_WORKERS = 1024;
const MAX_MS = 2 ** 31 - 1;

export function checkOptions(app: unknown, options: ServeOptions | undefined): ServePlan {
  const checker = Checker.of("serve()", options, KNOWN, "", FOREIGN);
  if (typeof app !== "function") {
    checker.problems.push({
      option: "app",
      value: app,
      reason: "must be an Express app, or a function (req, res): serve(app, options)",
    });
  }
  const server = checkServer(checker);
  const where = checkWhere(checker);
  const tls = checkTls(checker);
  const http2 = checkHttp2(checker, app);
  const signals = checkSignals(checker);
  const drain = checkDrain(checker);
  const workers = checkWorkers(checker);
  const logger = checkLogger(checker);
  const onUncaught = checkOnUncaught(checker);
  const probes = checkProbes(checker);
  checker.done();
  return { server, where, tls, http2, signals, drain, workers, logger: guarded(logger), onUncaught, probes };
}

function checkServer(checker: Checker): ServePlan["server"] {
  const { server } = checker.options;
  if (server === undefined) return undefined;
  const { Server } = process.getBuiltinModule("node:net");
  if (!(server instanceof Server)) {
    checker.add(
      "server",
      "must be the server that http.createServer() returned, or https's, or http2's",
      HIDDEN,
    );
    return undefined;
  }
  for (const name of ["port", "host", "tls", "http2"]) {
    if (checker.options[name] !== undefined)
      checker.add(name, "has no meaning beside server: the server has its own", HIDDEN);
  }
  const { workers } = checker.options;
  if (workers !== undefined && workers !== 1) {
    checker.add(
      "workers",
      "cannot share a given server: leave server out, and attach to served.server in each worker",
    );
  }
  return server as ServePlan["server"];
}

function checkWhere(checker: Checker): ServePlan["where"] {
  const host = checker.string("host");
  if (host === "") checker.add("host", "must be an address or a name; leave it out for all addresses");
  const port = checker.options.port ?? DEFAULT_PORT;
  if (typeof port === "string" && port.startsWith("/")) {
    if (host !== undefined) checker.add("host", "has no meaning with a Unix socket as the port");
    // The system's limit (sockaddr_un) is 108 bytes with the final zero on Linux, 104 elsewhere.
    if (Buffer.byteLength(port) > 103) {
      checker.add("port", "is too long for a Unix socket's path (at most 103 bytes)");
    }
    if (port.includes("\0")) checker.add("port", "must not have a zero byte in it");
    return { path: port };
  }
  // A Windows pipe: Node takes its name as a path.
  if (typeof port === "string" && /^\\\\[.?]\\pipe\\[^\0]+$/i.test(port)) {
    if (host !== undefined) checker.add("host", "has no meaning with a pipe as the port");
    return { path: port };
  }
  const portNumber = typeof port === "string" && /^\d{1,5}$/.test(port) ? Number(port) : port;
  if (
    typeof portNumber === "number" &&
    Number.isInteger(portNumber) &&
    portNumber >= 0 &&
    portNumber <= 65_535
  ) {
    return { port: portNumber, host };
  }
  checker.add(
    "port",
    "must be a port from 0 to 65535 (0 for any that is free), or the absolute path of a Unix socket or a Windows pipe",
  );
  return { port: DEFAULT_PORT, host };
}

function checkHttp2(checker: Checker, app: unknown): boolean {
  const http2 = checker.boolean("http2", false);
  if (!http2) return false;
  if (checker.options.tls === undefined) {
    checker.add("http2", "needs tls: { key, cert }, for browsers speak HTTP/2 only over TLS");
  }
  if (isExpressApp(app) && isExpress4(app)) {
    checker.add("http2", "needs Express 5; the given app is one of Express 4");
  }
  return true;
}

function checkSignals(checker: Checker): readonly NodeJS.Signals[] {
  const { signals } = checker.options;
  if (signals === undefined) return DEFAULT_SIGNALS;
  if (signals === false) return [];
  const known = process.getBuiltinModule("node:os").constants.signals as Record<string, number>;
  if (!Array.isArray(signals)) {
    checker.add("signals", 'must be a list of signals, such as ["SIGTERM", "SIGINT"], or false');
    return [];
  }
  signals.forEach((name: unknown, i) => {
    const option = `signals[${i}]`;
    if (typeof name !== "string" || !Object.hasOwn(known, name)) {
      checker.add(option, 'is not the name of a signal, such as "SIGTERM"', name);
    } else if (name === "SIGKILL" || name === "SIGSTOP") {
      checker.add(option, 'cannot be caught by any program: "SIGTERM" can', name);
    }
  });
  return [...new Set(signals as NodeJS.Signals[])];
}

/** A checker for the members of an option that is an object; the caller adds its problems to `checker`. */
function nestedChecker(checker: Checker, option: "drain" | "probes", known: readonly string[]): Checker {
  const bag = checker.options[option];
  if (bag === undefined || isBag(bag)) return Checker.of(checker.subject, bag, known, `${option}.`);
  checker.add(option, `must be an object: { ${known.join(", ")} }`);
  return new Checker(checker.subject, {}, `${option}.`);
}

function checkOnUncaught(checker: Checker): "drain" | false {
  const { onUncaught } = checker.options;
  if (onUncaught === undefined || onUncaught === "drain") return "drain";
  if (onUncaught !== false) checker.add("onUncaught", 'must be "drain", or false for none of it');
  return false;
}

function checkDrain(checker: Checker): ServePlan["drain"] {
  const known = ["delayMs", "idleGraceMs", "deadlineMs"] satisfies (keyof DrainOptions)[];
  const inner = nestedChecker(checker, "drain", known);
  const ms = { min: 0, max: MAX_MS, unit: "milliseconds" };
  const plan = {
    delayMs: inner.integer("delayMs", ms, 0),
    idleGraceMs: inner.integer("idleGraceMs", ms, 500),
    deadlineMs: inner.integer("deadlineMs", ms, 8_000),
  };
  checker.problems.push(...inner.problems);
  return plan;
}

function checkWorkers(checker: Checker): number {
  const { workers } = checker.options;
  if (workers === undefined) return 1;
  if (workers === "auto") return availableCores();
  if (Number.isInteger(workers) && (workers as number) >= 1 && (workers as number) <= MAX_WORKERS) {
    return workers as number;
  }
  checker.add("workers", `must be a number of processes from 1 to ${MAX_WORKERS}, or "auto" for one a core`);
  return 1;
}

function checkProbes(checker: Checker): ServePlan["probes"] {
  const inner = nestedChecker(checker, "probes", ["live", "ready"] satisfies (keyof Probes)[]);
  const path = (name: keyof Probes) => {
    const value = inner.string(name);
    // It is compared with the path that a client sends, which has only these characters.
    if (value === undefined || (/^\/[\x21-\x7e]*$/.test(value) && !/[?#]/.test(value))) return value;
    inner.add(name, 'must be a path as clients send it, without a query, such as "/healthz"');
    return undefined;
  };
  const plan = { live: path("live"), ready: path("ready") };
  if (plan.live !== undefined && plan.live === plan.ready) {
    inner.add("ready", "must not be the path of live: they say different things during a shutdown");
  }
  checker.problems.push(...inner.problems);
  return plan;
}
