import type { Express } from "express";
import { watchLayers } from "../../src/lib/express/watch-layers.js";
import { EventStream } from "./event-stream.js";
import { Inspector } from "./inspector.js";
import { checkOptions, type InspectOptions } from "./options.js";
import { PageServer } from "./page-server.js";

export type { InspectOptions } from "./options.js";

/** An open inspector. */
export interface Inspecting {
  /** The page. Its path is the key to it: who has the URL sees the requests. */
  readonly url: string;
  /** Closes the page, and removes everything from the app. */
  close(): Promise<void>;
}

const inspected = new WeakSet<object>();

/**
 * Opens a page that shows the app's requests as they happen: which layers each one passed, the time of each, who answered
 * and why. For development: in production it is a `ConfigError`, unless `production` is true.
 *
 * It can be called before or after the app's middleware is mounted, and before or after `serve` or `listen`. Nothing is
 * changed in the app before the call, and nothing is left after `close()`. Headers and queries are redacted as in
 * `requestLog`; bodies are never kept.
 *
 * @example
 * const inspector = await inspect(app);
 * console.log(inspector.url);
 *
 * @throws {ConfigError} rejects with all problems of the options
 * @see docs/inspector.md
 */
export async function inspect(app: Express, options?: InspectOptions): Promise<Inspecting> {
  const { port, host, keep } = checkOptions(app, options, inspected.has(app));
  inspected.add(app);
  const events = new EventStream();
  const inspector = new Inspector(app, keep, events);
  events.source = {
    keep,
    summaries: () => inspector.summaries(),
    summary: (id) => inspector.summary(id),
    samples: () => inspector.stats.samples,
  };
  try {
    const page = new PageServer(host, inspector, events);
    const url = await page.listen(port);
    return opened(app, inspector, page, url);
  } catch (error) {
    inspected.delete(app);
    inspector.close();
    throw error;
  }
}

function opened(app: Express, inspector: Inspector, page: PageServer, url: string): Inspecting {
  const { stop } = watchLayers(app, inspector);
  let closed: Promise<void> | undefined;
  return {
    url,
    close() {
      closed ??= (async () => {
        stop();
        inspected.delete(app);
        inspector.close();
        await page.close();
      })();
      return closed;
    },
  };
}
