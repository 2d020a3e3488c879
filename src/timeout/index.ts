import type { ServerResponse } from "node:http";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { adopt, isHttp2 } from "../lib/request/transport.js";
import { onEnd } from "../lib/response/end-hooks.js";
import { beforeHead, countSentBytes } from "../lib/response/intercept.js";
import { atHead, isBegun } from "../lib/response/replace.js";
import { beginBody, truncateAtTotal } from "./body.js";
import { startDeadline } from "./deadline.js";
import { checkOptions, type TimeoutOptions } from "./options.js";
import { stop, Watch } from "./watch.js";

export type { TimeoutOptions } from "./options.js";

/**
 * Answers with a 503 if the handler has not begun its response after `ms` milliseconds. The request's signal
 * (`contextOf(req).signal`) aborts with a `TimeoutError`, and what the handler still does with the response is discarded.
 * Like Go's `http.TimeoutHandler`, but without a buffer: a response that has begun is not touched, unless `idleMs` or
 * `totalMs` is set.
 *
 * Place: after the middleware that every answer needs (context, log, security headers, CORS), before what may be slow
 * (body parsers, authentication, the router). Headers set before it are on its answer, headers set after it are not. It
 * does not stop the handler: use the signal for that.
 *
 * @param options the milliseconds, or all options
 *
 * @example
 * app.use(timeout(30_000));
 *
 * @example
 * app.use(
 *   "/export",
 *   timeout({ ms: 10_000, idleMs: 30_000, totalMs: 600_000, onLate: (error) => tracker.capture(error) }),
 * );
 *
 * @throws {ConfigError} with all problems of the options
 */
export function timeout(options: number | TimeoutOptions): Handler {
  const plan = checkOptions(options);
  const { idleMs, totalMs } = plan;
  const boundsBody = idleMs !== undefined || totalMs !== undefined;

  return describeHandler(
    function timeout(req, res, next) {
      adopt(req, res);
      if (res.headersSent || res.writableEnded || (req as { upgrade?: unknown }).upgrade === true)
        return next();
      if (idleMs !== undefined && isHttp2(req)) countSentBytes(res); // on HTTP/1 the socket has the number
      const watch = new Watch(plan, req, res);
      beforeHead(res, bodyBegins, watch);
      if (totalMs !== undefined) watch.total = setTimeout(truncateAtTotal, totalMs, watch).unref();
      if (boundsBody) onEnd(req, res, stop, watch);
      const startedMs = performance.now();
      try {
        next();
      } finally {
        // Most handlers have answered by now; the timer would be the largest part of the cost.
        if (!isBegun(watch)) startDeadline(watch, startedMs);
      }
    },
    { concern: "timeout" },
  );
}

/** Runs before the head is written, after the hooks of inner middleware. */
function bodyBegins(res: ServerResponse, watch: Watch): void {
  if (atHead(res, watch)) beginBody(watch);
}
