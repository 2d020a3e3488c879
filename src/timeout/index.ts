import { describeHandler, type Handler } from "../lib/express/handler.js";
import { adopt, isHttp2 } from "../lib/request/transport.js";
import { countSentBytes } from "../lib/response/byte-count.js";
import { beforeHead, onEnd } from "../lib/response/hooks.js";
import { isBegun } from "./begun.js";
import { cutWhole } from "./body.js";
import { startDeadline } from "./deadline.js";
import { atHead } from "./head.js";
import { checkOptions, type TimeoutOptions } from "./options.js";
import { stop, Watch } from "./watch.js";

export type { TimeoutOptions } from "./options.js";

/**
 * Answers in the handler's place when it has not begun its response after `ms` milliseconds: 503 and a message. The
 * request's signal (`contextOf(req).signal`) aborts with a `TimeoutError`, and all that the handler still does with
 * the response is dropped without harm. As Go's `http.TimeoutHandler`, but nothing is buffered: a response that has
 * begun is not touched, unless `idleMs` or `totalMs` bound it.
 *
 * Goes after what belongs on every answer (context, log, security headers, CORS) and before what may be slow: body
 * parsers, authentication, the router. Headers set before it stand on its answer, those set after it do not. It does
 * not stop the handler: that is what the signal is for.
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
 * @throws {ConfigError} all that is wrong with the options, at once
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
      if (idleMs !== undefined && isHttp2(req)) countSentBytes(res); // else the socket tells
      const watch = new Watch(plan, req, res);
      beforeHead(res, atHead, watch);
      if (totalMs !== undefined) watch.total = setTimeout(cutWhole, totalMs, watch).unref();
      if (boundsBody) onEnd(req, res, stop, watch);
      const startedMs = performance.now();
      try {
        next();
      } finally {
        // Most handlers have answered by now, and a timer that nobody needs is what this would cost most.
        if (!isBegun(watch)) startDeadline(watch, startedMs);
      }
    },
    { concern: "timeout" },
  );
}
