import cluster from "node:cluster";
import { type AddressInfo, createServer } from "node:net";
import { parseArgs } from "node:util";
import { type CacheStore, redisStore, type ServeOptions, serve } from "express-portico";
import { type Inspecting, inspect } from "express-portico/inspector";
import { Registry } from "prom-client";
import { demoApp } from "./app.js";
import { selfMadeCertificate } from "./certificate.js";
import { aggregator, metricsApp } from "./metrics.js";
import { otherApp } from "./other.js";
import type { Database } from "./under-load.js";

const USAGE = `npm run demo                        HTTP, one process
npm run demo -- --http2             HTTPS and HTTP/2, with a self-signed certificate
npm run demo -- --workers auto      one process for each core; or a number
npm run demo -- --redis URL         cache entries in Redis, for several demos at once: redis://127.0.0.1, or the path of a socket
PORT=8090 npm run demo              another port; the other origin uses the next one, or OTHER_PORT; /metrics the one after it, or METRICS_PORT
HOSTS=demo.example npm run demo     a name that the demo answers to, beside localhost; or several, with commas`;

const { http2, workers, redis } = readArguments();
const host = process.env.HOST ?? "127.0.0.1";
const port = await portFor("PORT", 8080);
const otherPort = await portFor("OTHER_PORT", port + 1);
const metricsPort = await portFor("METRICS_PORT", port + 2);
const scheme = http2 ? "https" : "http";
const ownOrigin = `${scheme}://localhost:${port}`;
const otherOrigin = `${scheme}://localhost:${otherPort}`;
const metricsOrigin = `http://localhost:${metricsPort}`;
const registry = new Registry();
const database: Database = { isUp: true };

const options: ServeOptions = {
  host,
  workers,
  ...(http2 && { http2, tls: await selfMadeCertificate() }),
};
const probes = { live: "/livez", ready: "/readyz", checks: { database: { check: ask, everyMs: 500 } } };
const fibonacci = new URL("./fibonacci.mjs", import.meta.url);
const load = new URL("./load.mjs", import.meta.url);
// Each worker has an inspector of its own, so there is none with several.
const isInspected = process.env.NODE_ENV !== "production" && workers === 1;
let inspector: Inspecting | undefined;
try {
  const store = redis === undefined ? undefined : await sharedStore(redis);
  const hosts = process.env.HOSTS?.split(",");
  const shared = { ownOrigin, otherOrigin, metricsOrigin, hosts, fibonacci, load, registry, database, store };
  const app = demoApp(shared);
  if (isInspected) inspector = await inspect(app);
  const counts = aggregator(registry, workers);
  await serve(app, { ...options, probes, port });
  await serve(otherApp({ apiOrigin: ownOrigin }), { ...options, port: otherPort });
  if (cluster.isPrimary) await serve(metricsApp(registry, counts), { host, port: metricsPort });
} catch (error) {
  if (cluster.isPrimary) console.error(`${(error as Error).message}\n\n${USAGE}`);
  process.exit(1);
}

if (cluster.isPrimary) {
  console.log(`Serving on port: ${port}`);
  console.log(
    `Open ${ownOrigin}/ for what to try, and ${otherOrigin}/ for a page of another origin that calls it.`,
  );
  if (inspector !== undefined) console.log(`Inspector: ${inspector.url}`);
  console.log(`The metrics are at ${metricsOrigin}/metrics.`);
}

/** The check that decides whether the demo is ready. A real one asks its database. */
async function ask(): Promise<void> {
  if (!database.isUp) throw new Error("the database is down");
}

function readArguments(): { http2: boolean; workers: number | "auto"; redis: string | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        http2: { type: "boolean", default: false },
        workers: { type: "string", default: "1" },
        redis: { type: "string" },
      },
    });
    if (!/^(?:auto|[1-9]\d*)$/.test(values.workers)) throw new Error("--workers must be a number or auto");
    const workers = values.workers === "auto" ? "auto" : Number(values.workers);
    return { http2: values.http2, workers, redis: values.redis };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

/** The demo also starts while Redis is down, and uses it once it is connected. */
async function sharedStore(where: string): Promise<CacheStore> {
  const { createClient } = await import("redis");
  const place = where.startsWith("/") ? { socket: { path: where, tls: false as const } } : { url: where };
  const client = createClient({ ...place, disableOfflineQueue: true });
  const store = redisStore({ client });
  client.connect().catch(() => {});
  return store;
}

/** Each origin must know the port of the other before it listens. So for port 0 a free port is chosen here, for all processes. */
async function portFor(name: string, fallback: number): Promise<number> {
  const wanted = Number(process.env[name] ?? fallback);
  if (wanted !== 0) return wanted;
  const probe = createServer().listen(0, host);
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  process.env[name] = String(port);
  return port;
}
