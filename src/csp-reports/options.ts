import type { Request } from "express";
import { Checker } from "../lib/config/checker.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import type { ViolationReport } from "./normalise.js";

export interface CspReportsOptions {
  /**
   * Told of every report that is not noise and within the limits. It observes: nobody waits for what it returns, and what
   * it throws is reported once and changes nothing. Required, unless there is a `logger`.
   */
  readonly onReport?: ((report: ViolationReport, req: Request) => unknown) | undefined;
  /**
   * Where reports are logged: at `info` those of a report-only policy, at `warn` all others. Once a minute at most it is
   * told how many were left out. Default: no log.
   */
  readonly logger?: Logger | undefined;
  /** The longest body that is read, in bytes; from 1 to 10,485,760. Default: 65,536. */
  readonly maxBytes?: number | undefined;
  /** How many reports are told in any minute, in this process; from 1 to 1,000,000. Default: 600. */
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
      "is required, or a logger: else nobody would be told of a report",
      undefined,
      "ERR_PORTICO_MISSING_OPTION",
    );
  }
  checker.done();
  return plan;
}
