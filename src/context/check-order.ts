import type { Request, Response } from "express";
import type { Finding } from "../../tools/check/types.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { onEnd } from "../lib/response/hooks.js";
import { peek } from "../lib/values/thrown.js";

/** An app is checked once, whichever of its contexts a request comes to first. */
const checked = new WeakSet<object>();
const MAX_DEPTH = 32;

/**
 * Gives what has the order of an app's middleware checked, and writes a line for each fault. The one place where a
 * concern loads another: an order is seen best when the app has been put together, and that is when its first request
 * comes. That request is not delayed: what it takes is loaded now, and the check is made when the response is over.
 */
export function orderCheck(): (req: Request, res: Response) => void {
  const loading = import("../../tools/check/index.js");
  loading.catch(ignore);
  return (req, res) => {
    const app = outermost(req);
    if (app === undefined || checked.has(app)) return;
    checked.add(app);
    const check = () => {
      loading.then(({ checkPipeline }) => report(checkPipeline(app))).catch(ignore);
    };
    onEnd(req, res, check, undefined);
  };
}

/** A suite makes the same app many times. */
const told = new Set<string>();
const MAX_TOLD = 1_000;

function report(findings: readonly Finding[]): void {
  for (const { level, rule, at, message } of findings) {
    const text = `${rule} ${at} ${message}`;
    if (level !== "fault" || told.has(text) || told.size >= MAX_TOLD) continue;
    told.add(text);
    stderrLogger.warn({ rule, at }, message);
  }
}

/** Not an app that can be read: a check that nobody asked for says nothing then. */
function ignore(): void {}

function outermost(req: Request): object | undefined {
  let app: unknown = peek(req, "app");
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const parent = peek(app, "parent");
    if (typeof parent !== "function") break;
    app = parent;
  }
  return typeof app === "function" ? app : undefined;
}
