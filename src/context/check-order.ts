import type { Request, Response } from "express";
import type { Finding } from "../../tools/check/types.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { peek } from "../lib/values/thrown.js";

/** Each app is checked once, even with several `requestContext`. */
const checked = new WeakSet<object>();
const MAX_DEPTH = 32;

/**
 * Returns a function that checks the order of the middleware of a request's app and logs a line for each fault. The app is
 * complete when its first request comes. That request is not delayed: the checker is loaded now, and the check runs after
 * the response.
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

/** Findings that were logged: a test suite makes the same app many times. */
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

/** The app cannot be read. The check runs by default, so it says nothing then. */
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
