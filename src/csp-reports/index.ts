import type { Request, Response } from "express";
import { describeHandler, type Handler } from "../lib/express/handler.js";
import { guarded } from "../lib/log/stderr-logger.js";
import { adopt, isHttp2 } from "../lib/request/transport.js";
import { send } from "../lib/response/send.js";
import { answerProblem } from "../lib/response/send-problem.js";
import { allowOrigin, answerOther } from "./answer.js";
import { isNoise } from "./noise.js";
import { normalise, type ViolationReport } from "./normalise.js";
import { Observers } from "./observe.js";
import { type CspReportsOptions, checkOptions } from "./options.js";
import type { Batch } from "./payload.js";
import { Rate } from "./rate.js";
import { receive } from "./receive.js";
import { Tally } from "./tally.js";

export type { ViolationReport } from "./normalise.js";
export type { CspReportsOptions } from "./options.js";

/**
 * Receives what browsers report: violations of a Content Security Policy in all four forms they come in, and the other
 * reports of the Reporting API. Each becomes one event with the same keys; the noise of extensions is left out, and a
 * flood is bounded.
 *
 * Goes on a path of its own, before body parsers, `cors`, authentication and protection against forged requests: reports
 * come without credentials, also from other origins, in types that `express.json()` does not read. It answers every
 * request of its path.
 *
 * @example
 * app.use("/csp-reports", cspReports({ logger }));
 *
 * @example
 * app.use(
 *   "/csp-reports",
 *   cspReports({
 *     onReport: ({ disposition }) => violations.inc({ disposition }), // no text of a stranger as a label: there is no end of it
 *     maxPerMinute: 60,
 *   }),
 * );
 *
 * @throws {ConfigError} all that is wrong with the options, at once
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
      if (rate.isSpent(performance.now())) {
        tally.add("unreadRequests", 1);
        accept(req, res);
        return;
      }
      receive(req, maxBytes)
        .catch((fault: unknown) => {
          observers.fault("could not read a report", fault);
          return { status: 400, detail: "The body could not be read." } as const;
        })
        .then((received) => {
          if (received === undefined) return;
          if ("status" in received) {
            // Of a client that is too slow, nothing more is expected on its connection.
            const options = received.status === 408 && !isHttp2(req) ? { close: true } : {};
            answerProblem(req, res, received.status, { detail: received.detail }, options);
            return;
          }
          accept(req, res);
          const reports = select(received, req);
          const granted = rate.take(reports.length, performance.now());
          tally.add("overRate", reports.length - granted);
          for (const report of reports.slice(0, granted)) observers.tell(report, req);
        })
        .catch(next);
    },
    { concern: "cspReports" },
  );

  /** The reports that tell of the app. */
  function select({ entries, over }: Batch, req: Request): ViolationReport[] {
    const reports = entries.flatMap((entry) => normalise(entry, req.headers["user-agent"]) ?? []);
    const genuine = reports.filter((report) => !isNoise(report));
    tally.add("overBatch", over);
    tally.add("invalid", entries.length - reports.length);
    tally.add("noise", reports.length - genuine.length);
    return genuine;
  }
}

/** Also where nothing is told of it: a browser that queues its reports would send a refused one again. */
function accept(req: Request, res: Response): void {
  send(req, res, 204, undefined, "");
}
