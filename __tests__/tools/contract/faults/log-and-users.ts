import type { RequestHandler } from "express";
import { requestLog } from "../../../../src/index.js";
import { atHead, before, on, type Plant, remove, replace } from "./planting.js";

/** Its next request is lost, whosever it is: nothing else may run beside. */
export const STUMBLES = "a server that stumbles over a client that left";

/** Keeps what a route sends, by its URL alone. */
function naiveCache(): RequestHandler {
  const stored = new Map<string, unknown>();
  return (req, res, next) => {
    if (req.method !== "GET" || !req.originalUrl.includes("?")) return next();
    if (stored.has(req.originalUrl)) return void res.type("json").end(stored.get(req.originalUrl));
    const { end } = res;
    res.end = ((body: unknown, ...rest: unknown[]) => {
      if (res.statusCode === 200 && body !== undefined) stored.set(req.originalUrl, body);
      return Reflect.apply(end, res, [body, ...rest]);
    }) as typeof end;
    next();
  };
}

export const logAndUserFaults: Record<string, Plant> = {
  "no log": remove("log"),
  "two logs": (parts, lines) =>
    before("log", requestLog({ format: ":method", stream: sinkOf(lines) }))(parts, lines),
  "a log of what went well": replace("log", (lines) => (_req, res, next) => {
    res.once("close", () => res.statusCode < 400 && lines.push("a line"));
    next();
  }),
  "a log that forgets who left": replace("log", (lines) => (_req, res, next) => {
    res.once("finish", () => lines.push("a line"));
    next();
  }),
  "a log with the query": replace("log", (lines) => (req, res, next) => {
    res.once("close", () => lines.push(req.originalUrl));
    next();
  }),
  "a cache by URL alone": before("timeout", on("/me", naiveCache())),
  "a cache before the check of credentials": before("timeout", on("/admin", naiveCache())),
  "what is personal marked as public": before(
    "context",
    atHead((res, req) => {
      if (req.path === "/me") res.set("Cache-Control", "public, max-age=60");
    }),
  ),
  "one user's cookie for all": before(
    "context",
    atHead((res, req) => {
      if (req.path === "/me") res.set("Set-Cookie", "session=the-first");
    }),
  ),
  [STUMBLES]: (parts, lines) => {
    let hasLeft = false;
    return before("context", (req, res, next) => {
      if (hasLeft && req.method === "GET") {
        hasLeft = false;
        res.socket?.destroy();
        return;
      }
      // Node 24 and later also close a pipelined response that is never sent. It had no socket: no client left it.
      if (res.socket === null) return next();
      res.once("close", () => {
        if (!res.writableFinished && !/^\/(?:panic|busy)/.test(req.path)) hasLeft = true;
      });
      next();
    })(parts, lines);
  },
};

function sinkOf(lines: string[]) {
  return { write: (line: string) => void lines.push(line) };
}
