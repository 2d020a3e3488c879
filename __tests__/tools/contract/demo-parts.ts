import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import express5, { type ErrorRequestHandler, type RequestHandler, Router } from "express";
import { Registry } from "prom-client";
import { routes } from "../../../demo/routes.js";
import {
  allowedHosts,
  authenticate,
  bearer,
  bodyLimit,
  cache,
  compress,
  contextOf,
  cors,
  csrf,
  health,
  loadShed,
  metrics,
  notFound,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
  timeout,
} from "../../../src/index.js";
import { type Case, contract, type Expectations } from "../../../tools/contract/index.js";
import { memoryLogger } from "../../support/logger.js";

export type Part = readonly [name: string, handler: RequestHandler | ErrorRequestHandler];

export const ALLOWED = "https://app.example";
export const REFUSED = "https://evil.example";

/** The most bytes that POST /limited takes. */
export const LIMIT = 100_000;

/** How many requests GET /busy serves at once. */
export const BUSY = 3;

/** A limit for one path, as the demo's is for all. */
export const limitAt = (path: string, limit: RequestHandler): Router => Router().use(path, limit);

/** What demo/app.ts mounts, in its order, by name: so that a fault can be planted in any of it. */
export function demoParts(lines: string[]): Part[] {
  const recovery = { logger: memoryLogger() };
  const fibonacci = join(__dirname, "../../../demo/fibonacci.mjs");
  const origins = {
    ownOrigin: "http://localhost",
    otherOrigin: ALLOWED,
    metricsOrigin: "http://localhost:9464",
  };
  const rest = { ...origins, fibonacci, recovery, reports: [] };
  const stream = { write: (line: string) => void lines.push(line) };
  const registry = new Registry();
  return [
    ["context", requestContext()],
    ["log", requestLog({ format: "json", stream })],
    ["metrics", metrics({ registry })],
    ["probes", probes(registry)],
    ["hosts", allowedHosts(["127.0.0.1", "localhost"])],
    ["headers", securityHeaders()],
    ["cors", cors({ origin: ALLOWED, credentials: true, exposedHeaders: ["X-Request-Id"] })],
    ["csrf", csrf({ trustedOrigins: [ALLOWED] })],
    ["shed", loadShed({ limit: 1_000 })], // the cases run side by side, on a machine that may be busy
    ["cache", cache()],
    ["compress", compress()],
    ["timeout", timeout(10_000)],
    ["busy", limitAt("/busy", loadShed({ limit: BUSY }))],
    ["limit", limitAt("/limited", bodyLimit(LIMIT))],
    ["more", moreRoutes()],
    ["routes", routes(rest)],
    ["notFound", notFound()],
    ["recover", recover(recovery)],
  ];
}

/** What the demo answers on a port of its own, or before the app. */
function probes(registry: Registry): Router {
  const router = Router();
  router.get("/readyz", health({ checks: {} }));
  router.get("/livez", (_req, res) => void res.send("alive\n"));
  router.get("/metrics", async (_req, res) => {
    const text = await registry.metrics();
    res.type(registry.contentType).send(text);
  });
  return router;
}

/**
 * Beside the demo's: a slow route, with a deadline that leaves a client time to go before it, one that reads its body, one
 * that takes some time, and one that is different for each user.
 */
function moreRoutes(): Router {
  const router = Router();
  router.get("/late", timeout(250), async (_req, res) => {
    await sleep(350);
    res.send("Too late\n");
  });
  router.post("/limited", async (req, res) => {
    let bytes = 0;
    for await (const chunk of req) bytes += (chunk as Buffer).length;
    res.json({ bytes });
  });
  router.get("/busy", async (_req, res) => {
    await sleep(300);
    res.send("Done\n");
  });
  const names = new Map([
    ["ann-token", "Ann"],
    ["bob-token", "Bob"],
  ]);
  const known = authenticate(
    bearer({ verify: (token) => (names.has(token) ? { name: names.get(token) } : false) }),
    { optional: true },
  );
  router.get("/me", known, (req, res) => {
    const name = (contextOf(req).auth?.principal as { name?: string } | undefined)?.name ?? "nobody";
    res.cookie("seen", name, { httpOnly: true }).set("Cache-Control", "private, max-age=60").json({ name });
  });
  return router;
}

export function mount(parts: readonly Part[], express = express5): express5.Express {
  const app = express();
  for (const [, handler] of parts) app.use(handler as RequestHandler);
  return app;
}

/** @param patienceMs a short time for faults without an answer: their cases wait that long */
export function demoExpectations(lines: string[], patienceMs = 20_000): Expectations {
  return {
    cors: {
      allowed: ALLOWED,
      refused: REFUSED,
      methods: ["GET", "PUT", "PATCH", "DELETE"],
      headers: ["Content-Type", "Authorization"],
      exposed: ["X-Request-Id"],
      credentials: true,
    },
    routes: {
      ok: "/hello",
      failing: "/panic",
      failingLate: "/panic-late",
      protected: { path: "/admin", as: { Authorization: "Bearer demo-owner" } },
      slow: { path: "/late", withinMs: 2 * patienceMs, endsMs: 350 },
      upload: { path: "/upload", bytes: 8_000_000, status: 500 },
      limited: { path: "/limited", limit: LIMIT },
      changing: "/hello",
      health: "/readyz",
      busy: { path: "/busy", limit: BUSY, live: "/livez" },
      personal: {
        path: "/me",
        as: [{ Authorization: "Bearer ann-token" }, { Authorization: "Bearer bob-token" }],
      },
    },
    securityHeaders: true,
    hosts: true,
    methodNotAllowed: true,
    secrets: ["the handler panicked"],
    log: { lines: () => lines },
    metrics: { path: "/metrics" },
    timeoutMs: patienceMs,
  };
}

/** Whether the case counts lines, requests or series, or its client leaves: nothing else may run on its app meanwhile. */
export const isAlone = ({ name }: Case) =>
  /^the log|^the metrics|series|^a client that leaves|\/busy/.test(name);

/** Whether the case counts milliseconds. */
export const isSlow = ({ name }: Case) => /\/late|still sending/.test(name);

/**
 * Runs them all, and gives what fails, with its message. Most run at once; then those that count milliseconds; at last,
 * one by one, those that count the lines of the log, and those of clients that leave.
 */
export async function failuresOf(cases: readonly Case[], isParallel = true): Promise<Record<string, string>> {
  const messages = new Map<string, string>();
  const run = ({ name, run }: Case) => run().catch((error: Error) => void messages.set(name, error.message));
  const together = cases.filter((one) => isParallel && !isAlone(one));
  await Promise.all(together.filter((one) => !isSlow(one)).map(run));
  await Promise.all(together.filter(isSlow).map(run));
  for (const one of cases) if (!together.includes(one)) await run(one);
  const failed = cases.filter(({ name }) => messages.has(name));
  return Object.fromEntries(failed.map(({ name }) => [name, messages.get(name) ?? ""]));
}

/** The contract over the demo's parts, after a fault was planted in them. */
export function contractOfDemo(plant: (parts: Part[]) => Part[], express = express5): Case[] {
  const lines: string[] = [];
  return contract(mount(plant(demoParts(lines)), express), demoExpectations(lines));
}

/** Errors show their stack only where the app is developed. */
export function inProduction(): void {
  const before = process.env.NODE_ENV;
  beforeAll(() => {
    process.env.NODE_ENV = "production";
  });
  afterAll(() => {
    process.env.NODE_ENV = before;
  });
}
