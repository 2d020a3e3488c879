import type { Request } from "express";
import { Checker } from "../lib/config/checker.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import type { ViolationReport } from "./normalise.js";

export interface CspReportsOptions {
  /**
   * Called for each report that is not noise and within the limits. Its result is not awaited, and what it throws is
   * logged once. Required, unless `logger` is given.
   *
   * @defaultValue none
   */
  readonly onReport?: ((report: ViolationReport, req: Request) => unknown) | undefined;
  /**
   * Logs reports of a report-only policy at `info` and all others at `warn`; at most once a minute, it logs how many were
   * left out.
   *
   * @defaultValue none: reports are not logged
   */
  readonly logger?: Logger | undefined;
  /** The longest accepted body in bytes, 1 to 10,485,760. @defaultValue `65_536` */
  readonly maxBytes?: number | undefined;
  /** How many reports are passed on in any minute, in each process, 1 to 1,000,000. @defaultValue `600` */
  readonly maxPerMinute?: number | undefined;
}

export interface CspReportsPlan {
  readonly onReport: CspReportsOptions["onReport"];
  readonly logger: Logger | undefined;
  readonly maxBytes: number;
  readonly maxPerMinute: number;
}

const KNOWN = [
  "onReport",
  "logger",
  "maxBytes",
  "maxPerMinute",
] as const satisfies (keyof CspReportsOptions)[];
const MAX_BYTES = { min: 1, max: 10_485_760, unit: "bytes" };
const MAX_PER_MINUTE = { min: 1, max: 1_000_000, unit: "reports" };

export function checkOptions(options: CspReportsOptions | undefined): CspReportsPlan {
  const checker = Checker.of("cspReports()", options, KNOWN);
  const plan: CspReportsPlan = {
    onReport: checker.function("onReport", "must be a function (report, req)"),
    logger: checkLogger(checker),
    maxBytes: checker.integer("maxBytes", MAX_BYTES, 65_536),
    maxPerMinute: checker.integer("maxPerMinute", MAX_PER_MINUTE, 600),
  };
  if (checker.options.onReport === undefined && checker.options.logger === undefined) {
    checker.add(
      "onReport",
      "is required, or a logger: else reports would go nowhere",
      undefined,
      "ERR_PORTICO_MISSING_OPTION",
    );
  }
  checker.done();
  return plan;
}
