import { isApp } from "../../src/lib/express/app.js";
import { checkNodes } from "./check.js";
import { ClosureReader } from "./closure.js";
import { Reader } from "./read.js";
import type { Finding, PipelineNode } from "./types.js";

export type { Finding, PipelineNode } from "./types.js";

/**
 * Reads what stands in an Express app, in the order in which a request comes by it: middleware, routers, routes, error
 * handlers, the members of chains, mounted apps. Nothing of the app is run, and it need not listen.
 *
 * The path of a router, and a mounted app, are read out of Express's own closures where it keeps them nowhere else;
 * where that cannot be done, the node says so (`unseen`, `(?1)`).
 *
 * @example
 * const names = describePipeline(app).children.map(({ name }) => name);
 *
 * @throws {TypeError} for what is not an Express app
 */
export function describePipeline(app: unknown): PipelineNode {
  if (!isApp(app))
    throw new TypeError("express-portico: describePipeline() needs an Express app, as express() makes it");
  const variables = new ClosureReader();
  try {
    return new Reader(variables).app(app);
  } finally {
    variables.close();
  }
}

/**
 * What is wrong with the order of an app's middleware: the faults first, then advice. Empty for an app that is right.
 * What it does not know, such as a handler of the app's own, it does not accuse.
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
