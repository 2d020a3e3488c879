import type { Request, Response } from "express";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { guarded } from "../lib/log/stderr-logger.js";
import { adopt, isHttp2 } from "../lib/request/transport.js";
import { send } from "../lib/response/send.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { allowOrigin, answerOther } from "./answer.js";
import { Rate, Tally } from "./limits.js";
import { isNoise } from "./noise.js";
import { normalise, type ViolationReport } from "./normalise.js";
import { Observers } from "./observers.js";
import { type CspReportsOptions, checkOptions } from "./options.js";
import { type Batch, receive } from "./receive.js";

export type { ViolationReport } from "./normalise.js";
export type { CspReportsOptions } from "./options.js";

/**
 * Receives reports of browsers: violations of a Content Security Policy in all four formats, and the other reports of the
 * Reporting API. Each one becomes an event with the same keys. Reports caused by extensions are left out, and the number
 * of reports per minute is limited.
 *
 * Mount it on a path of its own, before body parsers, `cors`, authentication and protection against forged requests:
 * reports have no credentials, may come from other origins, and have types that `express.json()` does not read. It
 * answers every request of its path.
 *
 * @example
 * app.use("/csp-reports", cspReports({ logger }));
 *
 * @example
 * app.use(
 *   "/csp-reports",
 *   cspReports({
 *     onReport: ({ disposition }) => violations.inc({ disposition }), // a label must not hold text from outside: its values are unlimited
 *     maxPerMinute: 60,
 *   }),
 * );
 *
 * @throws {ConfigError} lists all problems of the options
 * @see docs/csp-reports.md
 * @see {@link https://www.w3.org/TR/CSP3/#reporting | CSP Level 3, section 5}; {@link https://www.w3.org/TR/reporting-1/ | Reporting API}
 */
export function cspReports(options: CspReportsOptions): Handler {
  const { onReport, logger: given, maxBytes, maxPerMinute } = checkOptions(options);
  const logger = given && guarded(given);
  const observers = new Observers(onReport, logger);
  const tally = new Tally(logger);
  const rate = new Rate(maxPerMinute);

  return describeHandler(
    function cspReports(req, res, next) {
      adopt(req, res);
      allowOrigin(req, res);
      if (answerOther(req, res)) return;
      if (rate.isExhausted(performance.now())) {
        tally.add("unreadRequests", 1);
        accept(req, res);
        return;
      }
      receive(req, maxBytes)
        .catch((fault: unknown) => {
          observers.logFault("could not read a report", fault);
          return { status: 400, detail: "The body could not be read." } as const;
        })
        .then((received) => {
          if (received === undefined) return;
          if ("status" in received) {
            // A client that was too slow still sends its body: close the connection.
            const options = received.status === 408 && !isHttp2(req) ? { close: true } : {};
            answerProblem(req, res, received.status, { detail: received.detail }, options);
            return;
          }
          accept(req, res);
          const reports = select(received, req);
          const granted = rate.take(reports.length, performance.now());
          tally.add("overRate", reports.length - granted);
          for (const report of reports.slice(0, granted)) observers.pass(report, req);
        })
        .catch(next);
    },
    { concern: "cspReports" },
  );

  /** The reports that are valid and not noise; the others are counted. */
  function select({ entries, over }: Batch, req: Request): ViolationReport[] {
    const reports = entries.flatMap((entry) => normalise(entry, req.headers["user-agent"]) ?? []);
    const genuine = reports.filter((report) => !isNoise(report));
    tally.add("overBatch", over);
    tally.add("invalid", entries.length - reports.length);
    tally.add("noise", reports.length - genuine.length);
    return genuine;
  }
}

/** Sent for dropped reports too: a browser that queues its reports would send a refused one again. */
function accept(req: Request, res: Response): void {
  send(req, res, 204, undefined, "");
}
