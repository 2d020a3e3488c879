import { isApp } from "../../src/lib/express/app.js";
import type { Finding, PipelineNode } from "./pipeline.js";
import { Reader } from "./read.js";
import { checkNodes } from "./rules/index.js";
import { InspectorReader } from "./variables.js";

export type { Finding, PipelineNode } from "./pipeline.js";

/**
 * Reads the middleware, routers, routes, error handlers, members of chains and mounted apps of an Express app, in the
 * order in which a request passes them. It runs nothing of the app, and the app need not listen.
 *
 * Mounted apps, and paths before router 2.3, are read with Node's inspector. Where that is not possible, the node has
 * `unseen`, or `(?1)` in its path.
 *
 * @example
 * const names = describePipeline(app).children.map(({ name }) => name);
 *
 * @throws {TypeError} for what is not an Express app
 */
export function describePipeline(app: unknown): PipelineNode {
  if (!isApp(app))
    throw new TypeError("express-portico: describePipeline() needs an Express app, as express() makes it");
  const variables = new InspectorReader();
  try {
    return new Reader(variables).app(app);
  } finally {
    variables.close();
  }
}

/**
 * Returns what is wrong with the order of an app's middleware: faults first, then advice. Handlers that it does not know,
 * such as the app's own, cause no finding.
 *
 * @example
 * const faults = checkPipeline(app).filter(({ level }) => level === "fault");
 * expect(faults).toEqual([]);
 *
 * @throws {TypeError} for what is not an Express app
 */
export function checkPipeline(app: unknown): Finding[] {
  return checkNodes(describePipeline(app));
}
