import compression from "compression";
import corsPackage from "cors";
import express, { type Express, type RequestHandler } from "express";
import {
  allowedHosts,
  around,
  authorize,
  bodyLimit,
  chain,
  compress,
  contextOf,
  cors,
  csrf,
  loadShed,
  metrics,
  requestContext,
  requestLog,
  securityHeaders,
  timeout,
} from "express-portico";
import promBundle from "express-prom-bundle";
import helmet from "helmet";
import morgan from "morgan";
import { Gauge, Histogram, Registry } from "prom-client";
import type { Shape } from "./harness.js";
import { inlined } from "./inlined.js";

interface Side {
  readonly name: string;
  readonly app: Express;
}

/** One comparison: what `ours` adds to `bare`, at most `limit` times what `peer` adds. */
export interface Case {
  readonly name: string;
  readonly bare: Express;
  readonly ours: Side;
  readonly peer: Side;
  readonly limit: number;
  /** The most that ours may add, in microseconds. Default: only the ratio counts. */
  readonly mostUs?: number;
  readonly shape: Shape;
  /** In each round. Default: 3,000. */
  readonly requests?: number;
}

const ORIGIN = "https://app.example";
const fromOrigin: Shape = { headers: { origin: ORIGIN, "x-api-key": "k" } };
const swallow = { write: () => true };

export function cases(): Case[] {
  return [
    {
      name: "cors, 3 origins",
      bare: app(),
      ours: { name: "ours", app: app(cors({ origin: origins(3) })) },
      peer: { name: "cors", app: app(corsPackage({ origin: origins(3) })) },
      limit: 1,
      shape: fromOrigin,
    },
    {
      name: "cors, 200 origins against our own 3",
      bare: app(),
      ours: { name: "200", app: app(cors({ origin: origins(200) })) },
      peer: { name: "3", app: app(cors({ origin: origins(3) })) },
      limit: 1.1,
      shape: fromOrigin,
    },
    {
      name: "requestLog json against morgan combined",
      bare: app(),
      ours: { name: "ours", app: app(requestLog({ format: "json", stream: swallow })) },
      peer: { name: "morgan", app: app(morgan("combined", { stream: swallow })) },
      limit: 0.5,
      shape: fromOrigin,
    },
    {
      name: "securityHeaders against helmet, same headers",
      bare: app(),
      ours: { name: "ours", app: app(securityHeaders()) },
      peer: { name: "helmet", app: app(helmetSame()) },
      limit: 1,
      shape: fromOrigin,
    },
    {
      name: "log, headers, cors, authorize: hand-wired peers",
      bare: app(),
      ours: { name: "ours", app: app(...four()) },
      peer: { name: "morgan+helmet+cors+key", app: app(...peers()) },
      limit: 0.75,
      shape: fromOrigin,
    },
    {
      name: "log, headers, cors, authorize: inlined by hand",
      bare: app(),
      ours: { name: "ours", app: app(...four()) },
      peer: { name: "inlined", app: app(inlined({ origins: origins(3), key: "k", stream: swallow })) },
      limit: 1.4,
      shape: fromOrigin,
    },
    {
      name: "requestContext against morgan combined",
      bare: app(),
      ours: { name: "ours", app: app(requestContext()) },
      peer: { name: "morgan", app: app(morgan("combined", { stream: swallow })) },
      limit: 1,
      shape: fromOrigin,
    },
    {
      name: "a chain of 5 against 5 layers of Express",
      bare: app(),
      ours: { name: "chain", app: app(chain(...passers().slice(1)).then(passers()[0]!)) },
      peer: { name: "layers", app: app(...passers()) },
      limit: 1,
      shape: fromOrigin,
    },
    {
      name: "context, timeout, around against morgan",
      bare: app(),
      ours: {
        name: "ours",
        app: app(
          requestContext(),
          timeout(30_000),
          around((_req, _res, next) => next()),
        ),
      },
      peer: { name: "morgan", app: app(morgan("combined", { stream: swallow })) },
      limit: 1.5,
      shape: fromOrigin,
    },
    {
      name: "csrf, allowedHosts, bodyLimit for a GET against helmet",
      bare: app(),
      ours: {
        name: "ours",
        app: app(allowedHosts(["localhost", "a.example"]), csrf(), bodyLimit("1mb")),
      },
      peer: { name: "helmet", app: app(helmet()) },
      limit: 0.5,
      shape: { headers: { host: "a.example", origin: ORIGIN, "x-api-key": "k" } },
    },
    {
      name: "loadShed against helmet",
      bare: app(),
      ours: { name: "ours", app: app(loadShed()) },
      peer: { name: "helmet", app: app(helmet()) },
      limit: 0.4,
      mostUs: 1,
      shape: fromOrigin,
    },
    {
      name: "metrics against express-prom-bundle",
      bare: app(),
      ours: { name: "ours", app: app(metrics({ registry: new Registry() })) },
      peer: {
        name: "express-prom-bundle",
        app: app(
          promBundle({
            includeMethod: true,
            includePath: true,
            autoregister: false,
            promRegistry: new Registry(),
          }),
        ),
      },
      limit: 0.8,
      mostUs: 2,
      shape: fromOrigin,
    },
    {
      name: "metrics against a histogram and a gauge by hand",
      bare: app(),
      ours: { name: "ours", app: app(metrics({ registry: new Registry() })) },
      peer: { name: "by hand", app: app(measuredByHand(new Registry())) },
      limit: 1.2,
      mostUs: 2,
      shape: fromOrigin,
    },
    compressing("gzip", 2_048, 0.5),
    compressing("br", 2_048, 0.5),
    compressing("gzip", 56_000, 1),
    compressing("br", 56_000, 1),
    compressing("none wanted", 2_048, 1),
  ];
}

/** What people write who need neither clients that left nor the mount paths of routers. */
function measuredByHand(registry: Registry): RequestHandler {
  const registers = [registry];
  const labelNames = ["method", "route", "status", "error"] as const;
  const durations = new Histogram({ name: "duration_seconds", help: "Duration", labelNames, registers });
  const active = new Gauge({ name: "active", help: "Active", labelNames: ["method"] as const, registers });
  return (req, res, next) => {
    const { method } = req;
    const started = performance.now();
    active.inc({ method });
    res.on("close", () => {
      active.dec({ method });
      const route: string = (req.route as { path?: string } | undefined)?.path ?? "";
      durations.observe(
        { method, route, status: res.statusCode, error: "" },
        (performance.now() - started) / 1_000,
      );
    });
    next();
  };
}

function compressing(encoding: string, bytes: number, limit: number): Case {
  const body = users(bytes);
  return {
    name: `compress, ${Math.round(bytes / 1_000)} KB of JSON, ${encoding}`,
    bare: answering(body),
    ours: { name: "ours", app: answering(body, compress()) },
    peer: { name: "compression", app: answering(body, compression()) },
    limit,
    shape: { headers: encoding === "none wanted" ? {} : { "accept-encoding": encoding } },
    ...(encoding !== "none wanted" && { requests: bytes > 10_000 ? 200 : 1_000 }),
  };
}

function answering(body: object, ...before: RequestHandler[]): Express {
  const made = express();
  made.disable("x-powered-by");
  made.disable("etag");
  for (const handler of before) made.use(handler);
  made.get("/", (_req, res) => void res.json(body));
  return made;
}

/** JSON as an API sends it, of about this many bytes. */
function users(bytes: number): object[] {
  const list: object[] = [];
  for (let i = 0, size = 0; size < bytes; i++) {
    const user = {
      id: i * 7_919,
      name: `user ${(i * 7_919) % 997}`,
      email: `user-${(i * 104_729) % 9_973}@example.com`,
      active: i % 3 === 0,
      score: Math.round(Math.abs(Math.sin(i)) * 1e9) / 1e6,
    };
    list.push(user);
    size += JSON.stringify(user).length + 1;
  }
  return list;
}

/** Handlers that only call next. */
function passers(): RequestHandler[] {
  return Array.from(
    { length: 5 },
    () =>
      function pass(_req, _res, next) {
        next();
      },
  );
}

export function app(...before: RequestHandler[]): Express {
  const made = express();
  made.disable("x-powered-by");
  made.disable("etag");
  for (const handler of before) made.use(handler);
  made.get("/", (_req, res) => void res.json({ hello: "world" }));
  return made;
}

function origins(count: number): string[] {
  return [...Array.from({ length: count - 1 }, (_, i) => `https://host-${i}.example`), ORIGIN];
}

/** The five middleware, and the context. */
export function fiveApp(): Express {
  return app(requestContext(), ...four());
}

function four(): RequestHandler[] {
  return [
    requestLog({ format: "json", stream: swallow }),
    securityHeaders(),
    cors({ origin: origins(3) }),
    authorize((req) => req.headers["x-api-key"] === "k" && contextOf(req) !== undefined),
  ];
}

function peers(): RequestHandler[] {
  return [
    morgan("combined", { stream: swallow }),
    helmetSame(),
    corsPackage({ origin: origins(3) }),
    (req, res, next) => {
      if (req.headers["x-api-key"] === "k") next();
      else res.status(403).end();
    },
  ];
}

/** helmet with the headers of our preset `common`, as sent without TLS. */
function helmetSame(): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'self'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        objectSrc: ["'none'"],
      },
    },
    referrerPolicy: { policy: "origin-when-cross-origin" },
    frameguard: { action: "deny" },
    strictTransportSecurity: false,
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
  });
}
