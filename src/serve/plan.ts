import type { Checker } from "../lib/config/checker.js";
import { HIDDEN } from "../lib/config/config-error.js";
import { isWhole } from "../lib/config/integers.js";
import {
  boolean,
  checked,
  integer,
  nested,
  readOptions,
  type SchemaOf,
  string,
  valid,
} from "../lib/config/schema.js";
import { isExpress4 } from "../lib/express/app.js";
import { readChecks } from "../lib/health/options.js";
import { checkLogger } from "../lib/log/logger.js";
import { guarded } from "../lib/log/stderr-logger.js";
import { availableCores } from "./cluster.js";
import { isExpressApp } from "./express-server-options.js";
import { type DrainOptions, FOREIGN, type Probes, type ServeOptions } from "./options.js";
import { checkTls } from "./tls.js";

const DEFAULT_PORT = 8080;
const DEFAULT_SIGNALS: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];
const MAX_WORKERS = 1024;
const MS = { min: 0, max: 2 ** 31 - 1, unit: "milliseconds" };

export const DRAIN = () =>
  ({
    delayMs: integer(MS, 0),
    idleGraceMs: integer(MS, 500),
    deadlineMs: integer(MS, 8_000),
  }) satisfies SchemaOf<DrainOptions>;

export const PROBES = () =>
  ({ live: probePath(), ready: probePath(), checks: readChecks }) satisfies SchemaOf<Probes>;

export const OPTIONS = () =>
  ({
    port: checkPort,
    host: checked(string(), (host) =>
      host === "" ? "must be an address or a name; leave it out for all addresses" : undefined,
    ),
    server: checkServer,
    tls: checkTls,
    http2: boolean(false),
    signals: checkSignals,
    drain: nested(DRAIN),
    workers: valid(
      (value) => value === "auto" || isWhole({ min: 1, max: MAX_WORKERS }, value),
      `must be a number of processes from 1 to ${MAX_WORKERS}, or "auto" for one per core`,
      1,
    ),
    logger: checkLogger,
    onUncaught: valid(
      (value) => value === "drain" || value === false,
      'must be "drain", or false to leave uncaught errors to Node',
      "drain",
    ),
    probes: nested(PROBES, {
      finish({ live, ready, checks }, checker) {
        if (live !== undefined && live === ready)
          checker.add("ready", "must not be the path of live: they say different things during a shutdown");
        if (checks !== undefined && ready === undefined)
          checker.add(
            "checks",
            'need ready: they decide what it answers; live takes none, because a restart does not repair what the app depends on. Write ready: "/readyz"',
            HIDDEN,
          );
      },
    }),
  }) satisfies SchemaOf<ServeOptions>;

export type ServePlan = ReturnType<typeof checkOptions>;

export function checkOptions(app: unknown, options: ServeOptions | undefined) {
  const { checker, plan } = readOptions("serve()", OPTIONS, options, { foreign: FOREIGN });
  if (typeof app !== "function") {
    checker.add("app", "must be an Express app, or a function (req, res): serve(app, options)", app);
  }
  if (plan.http2) checkHttp2(checker, app);
  return checker.done({
    ...plan,
    where: typeof plan.port === "string" ? { path: plan.port } : { port: plan.port, host: plan.host },
    workers: plan.workers === "auto" ? availableCores() : plan.workers,
    logger: guarded(plan.logger),
  });
}

function checkServer(checker: Checker): ServeOptions["server"] {
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
  return server as ServeOptions["server"];
}

/** A number, or the path of a socket or a pipe. */
function checkPort(checker: Checker): number | string {
  const { host } = checker.options;
  const port = checker.options.port ?? DEFAULT_PORT;
  const isSocket = typeof port === "string" && port.startsWith("/");
  // Node takes the name of a Windows pipe as a path.
  if (isSocket || (typeof port === "string" && /^\\\\[.?]\\pipe\\[^\0]+$/i.test(port))) {
    if (host !== undefined)
      checker.add("host", `has no meaning with a ${isSocket ? "Unix socket" : "pipe"} as the port`);
    // The system's limit (sockaddr_un) is 108 bytes with the final zero on Linux, 104 elsewhere.
    if (isSocket && Buffer.byteLength(port) > 103) {
      checker.add("port", "is too long for a Unix socket's path (at most 103 bytes)");
    }
    if (isSocket && port.includes("\0")) checker.add("port", "must not have a zero byte in it");
    return port;
  }
  const portNumber = typeof port === "string" && /^\d{1,5}$/.test(port) ? Number(port) : port;
  if (isWhole({ min: 0, max: 65_535 }, portNumber)) return portNumber;
  checker.add(
    "port",
    "must be a port from 0 to 65535 (0 for any that is free), or the absolute path of a Unix socket or a Windows pipe",
  );
  return DEFAULT_PORT;
}

function checkHttp2(checker: Checker, app: unknown): void {
  if (checker.options.tls === undefined) {
    checker.add("http2", "needs tls: { key, cert }, because browsers speak HTTP/2 only over TLS");
  }
  if (isExpressApp(app) && isExpress4(app)) {
    checker.add("http2", "needs Express 5; the given app is one of Express 4");
  }
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

/** It is compared with the path that a client sends, which has only these characters. */
function probePath() {
  return valid<string>(
    (value) => typeof value === "string" && /^\/[\x21-\x7e]*$/.test(value) && !/[?#]/.test(value),
    (value) =>
      typeof value === "string"
        ? 'must be a path as clients send it, without a query, such as "/healthz"'
        : "must be a string",
  );
}
