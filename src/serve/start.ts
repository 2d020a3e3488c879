import type { RequestListener } from "node:http";
import { cluster } from "./cluster.js";
import type { Served } from "./index.js";
import { listen } from "./listen.js";
import { checkOptions, type ServeOptions } from "./options.js";
import { startPrimary, startWorker } from "./workers.js";

/** Runs `serve`. A module of its own, so that an app under test does not load the server's code. */
export async function start(app: RequestListener, options: ServeOptions | undefined): Promise<Served> {
  const plan = checkOptions(app, options);
  if (plan.workers === 1) return { ...(await listen(app, plan)), workers: [] };
  if (cluster().isPrimary) return startPrimary(plan);
  return { ...(await startWorker(app, plan)), workers: [] };
}
