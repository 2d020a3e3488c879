import { createRequire } from "node:module";
import express, { type Express, type RequestHandler } from "express";
import { cache, memoryStore } from "express-portico";
import { driver, measure } from "./harness.js";

// A CommonJS package without types.
const apicache = createRequire(import.meta.url)("apicache") as {
  newInstance(options: object): { middleware(duration: string): RequestHandler };
};

/** About 2 KB of JSON. */
const body = {
  items: Array.from({ length: 28 }, (_, id) => ({
    id,
    name: `item number ${id}`,
    price: id * 1.5,
    tags: ["a", "b"],
  })),
};

let failed = 0;
await hits();
await hitRate();
console.log(failed === 0 ? "\nall within their limits" : `\n${failed} over their limit`);
process.exit(failed === 0 ? 0 : 1);

/** The whole cost of a hit, against a handler that only sends the same response. */
async function hits(): Promise<void> {
  const apps = new Map([
    ["bare", app()],
    ["ours", app(cache())],
    ["apicache", app(apicache.newInstance({}).middleware("1 hour"))],
  ]);
  for (const [peer, limit] of [
    ["bare", 0.5],
    ["apicache", 1],
  ] as const) {
    let best = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 3 && best > limit; attempt++) {
      const cpu = await measure(apps);
      best = Math.min(best, cpu.get("ours")! / cpu.get(peer)!);
    }
    verdict(
      best <= limit,
      `a hit of ${JSON.stringify(body).length} bytes of JSON against ${peer}`,
      best.toFixed(2),
      limit,
    );
  }
}

/** 100,000 keys; 95 % of the requests ask for 15,000 of them, which fit. */
async function hitRate(): Promise<void> {
  const maxBytes = 64 * 1024 * 1024;
  const cached = cache({ store: memoryStore({ maxBytes }) });
  const shape = { url: "/" };
  const run = driver(app(cached), shape);
  const hot = 15_000;
  for (let i = 0; i < 20_000; i++) {
    shape.url = `/?warm=${i}`; // so that compiled code and hidden classes are not counted as growth
    await run(1);
  }
  await cached.clear();
  const before = await heapBytes();
  let early = { hits: 0, misses: 0 };
  for (let i = 0; i < 400_000; i++) {
    if (i === 100_000) early = await cached.stats(); // the store is full
    const key = Math.random() < 0.95 ? Math.floor(Math.random() * hot) : Math.floor(Math.random() * 100_000);
    shape.url = `/?key=${key}`;
    await run(1);
  }
  const { bytes, entries, ...all } = await cached.stats();
  const hits = all.hits - early.hits;
  const misses = all.misses - early.misses;
  const grown = (await heapBytes()) - before;
  console.log(`${hits} hits, ${misses} misses, ${entries} entries`);
  verdict(hits / (hits + misses) >= 0.9, "hit rate", (hits / (hits + misses)).toFixed(3), 0.9);
  verdict(
    bytes <= maxBytes,
    "bytes as the store counts them, MB",
    (bytes / 2 ** 20).toFixed(1),
    maxBytes / 2 ** 20,
  );
  verdict(grown <= maxBytes, "bytes of the process, MB", (grown / 2 ** 20).toFixed(1), maxBytes / 2 ** 20);
}

async function heapBytes(): Promise<number> {
  const collect = (globalThis as { gc?: () => void }).gc;
  if (collect === undefined) throw new Error("run it with --expose-gc");
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise(setImmediate);
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function app(...handlers: RequestHandler[]): Express {
  const made = express();
  for (const handler of handlers) made.use(handler);
  made.get("/", (_req, res) => void res.set("Cache-Control", "public, max-age=3600").json(body));
  return made;
}

function verdict(isFine: boolean, what: string, value: string, limit: number): void {
  if (!isFine) failed++;
  console.log(`${(isFine ? "ok" : "OVER").padEnd(5)}${what.padEnd(52)} ${value} of ${limit}`);
}
