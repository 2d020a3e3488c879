import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request } from "express";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { knownState } from "../lib/request/state.js";
import { adopt } from "../lib/request/transport.js";
import { isThenable } from "../lib/values/thrown.js";
import { checkOptions, type LoadShedOptions } from "./options.js";
import { Shedder } from "./shedder.js";

export type { LoadShedOptions } from "./options.js";

export interface LoadShedStats {
  /** The most requests in flight, now. */
  readonly limit: number;
  /** Requests without an answer. */
  readonly inFlight: number;
  /** Requests that wait for a place. */
  readonly queued: number;
  /** Requests that were refused since the start. */
  readonly shed: number;
}

/** The middleware, with its numbers. */
export interface LoadShed extends Handler {
  stats(): LoadShedStats;
}

/**
 * Serves no more requests at a time than the process can, and refuses the others immediately with a 503 and `Retry-After`, so
 * that those that are served are served in time. How many that is, it finds from the latency and from the event loop; or
 * `limit` is the number.
 *
 * Place: after `cors` and `csrf`, before everything that costs time: the cache, sessions, body parsers, authentication. It
 * counts for one process.
 *
 * @example
 * app.use(loadShed());
 *
 * @example
 * const shed = loadShed({ limit: 50, queue: 100, exempt: (req) => req.path === "/live" });
 * app.use(shed);
 * setInterval(() => console.log(shed.stats()), 10_000).unref();
 *
 * @throws {ConfigError} with all problems of the options
 * @see docs/load-shed.md
 */
export function loadShed(options?: LoadShedOptions): LoadShed {
  const plan = checkOptions(options);
  const shedder = new Shedder(plan);
  const { exempt } = plan;
  const handler = describeHandler(
    function loadShed(req, res, next) {
      adopt(req, res);
      if (!isOpen(req, res) || hasPlace(req, shedder) || (exempt !== undefined && isExempt(exempt, req)))
        return next();
      shedder.handle(req, res, next);
    },
    { concern: "loadShed", exempts: exempt !== undefined },
  );
  return Object.assign(handler, {
    stats(): LoadShedStats {
      const { limiter, waiting, shed } = shedder;
      return { limit: limiter.limit, inFlight: limiter.inFlight, queued: waiting.size, shed };
    },
  });
}

/** Whether an answer can still be sent. A connection that was taken over (a WebSocket) is none of ours. */
function isOpen(req: IncomingMessage, res: ServerResponse): boolean {
  return (req as { readonly upgrade?: unknown }).upgrade !== true && !res.headersSent && !res.writableEnded;
}

/** Whether the same middleware was mounted twice. */
function hasPlace(req: IncomingMessage, owner: Shedder): boolean {
  for (let place = knownState(req)?.place; place !== undefined; place = place.outer) {
    if (place.owner === owner) return true;
  }
  return false;
}

function isExempt(exempt: (req: Request) => boolean, req: Request): boolean {
  const result: unknown = exempt(req);
  // It would be taken for true, and exempt every request.
  if (isThenable(result))
    throw new TypeError("loadShed: the option exempt must return true or false, not a promise");
  return Boolean(result);
}
