import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type Request, Router } from "express";
import { contextOf, type LoadShed } from "express-portico";

/** Three times what one core can do with `/work`. */
const DEFAULT_RATE = { perSecond: 750, seconds: 10 };
const WORK_MS = 4;

interface UnderLoadOptions {
  readonly ownOrigin: string;
  /** The module that sends the requests, in a worker thread. */
  readonly load: URL | string;
  readonly rate?: { readonly perSecond: number; readonly seconds: number } | undefined;
  readonly shed: LoadShed;
  readonly database: Database;
}

/** What the demo's readiness depends on. It can be stopped, to see what the probe then answers. */
export interface Database {
  isUp: boolean;
}

/** The page's controls must work while everything else is refused. */
export function isControl(req: Request): boolean {
  return req.path === "/load" || req.path === "/load/events" || req.path === "/database";
}

/** A handler that computes, the load for it, and what becomes of its requests. */
export function underLoad(options: UnderLoadOptions): Router {
  const { ownOrigin, load, rate = DEFAULT_RATE, shed, database } = options;
  const router = Router();
  let served = 0;
  router.get("/work", async (_req, res) => {
    await nextTurn(); // as after a query of a database
    const until = performance.now() + WORK_MS;
    while (performance.now() < until);
    served++;
    res.set("Cache-Control", "no-store").send("done\n");
  });

  let sender: Worker | undefined;
  router.post("/load", (_req, res) => {
    if (sender === undefined) {
      sender = new Worker(load, { workerData: { url: `${ownOrigin}/work`, ...rate } });
      sender.once("exit", () => (sender = undefined));
      sender.unref(); // the demo can end meanwhile
    }
    res.status(202).json(rate);
  });
  router.get("/load/events", async (req, res) => {
    const { signal, closing } = contextOf(req);
    res.set({ "Content-Type": "text/event-stream", "Cache-Control": "no-store" }).flushHeaders();
    while (!signal.aborted && !closing.aborted) {
      res.write(`data: ${JSON.stringify({ served, ...shed.stats() })}\n\n`);
      await sleep(250);
    }
    res.end();
  });

  router.post("/database", (_req, res) => {
    database.isUp = !database.isUp;
    res.json(database);
  });
  return router;
}
