// One server, as a process: `node server.mjs <way> <work>`. It uses the built package, as users do, and all defaults of each way.
import express from "express";
import { loadShed } from "express-portico";

const [way, work] = process.argv.slice(2);
const CPU_MS = 4;

/** So many turns of the loop take 4 ms of CPU when nothing else runs: a busy machine then makes it slower, as real work. */
let turns = 0;
function spin(count) {
  let x = 1;
  for (let i = 0; i < count; i++) x = (x * 16_807) % 2_147_483_647;
  return x;
}
function calibrate() {
  spin(5_000_000);
  // The time on the clock: the process's CPU time is too coarse. The shortest, because others may use the core meanwhile.
  const best = Math.min(
    ...Array.from({ length: 50 }, () => {
      const startedMs = performance.now();
      spin(200_000);
      return performance.now() - startedMs;
    }),
  );
  return Math.round((200_000 / best) * CPU_MS);
}

const handlers = {
  /** Before the first `await`: never more than one request in flight. */
  sync: () => spin(turns),
  /** After an answer from elsewhere. */
  await: async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    spin(turns);
  },
};

const ways = {
  nothing: () => [],
  loadShed: () => [loadShed()],
  "toobusy-js": async () => {
    const { default: toobusy } = await import("toobusy-js");
    return [(_req, res, next) => (toobusy() ? res.status(503).send("busy") : next())];
  },
};

async function start() {
  turns = calibrate();
  const handler = handlers[work];
  if (way === "under-pressure") {
    const { default: fastify } = await import("fastify");
    const { default: underPressure } = await import("@fastify/under-pressure");
    const app = fastify();
    // It has no default limit: this is the one in its README.
    await app.register(underPressure, { maxEventLoopDelay: 1_000 });
    app.get("/", async () => {
      await handler();
      return { hello: "world" };
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
    return app.server;
  }
  const app = express();
  for (const one of await ways[way]()) app.use(one);
  app.get("/", async (_req, res) => {
    await handler();
    res.json({ hello: "world" });
  });
  return new Promise((resolve) => {
    const server = app.listen(0, "127.0.0.1", () => resolve(server));
  });
}

const server = await start();
process.on("disconnect", () => process.exit());
process.send?.({ port: server.address().port });
