import type { Request } from "express";
import { fn, integer, readOptions, type SchemaOf } from "../lib/config/schema.js";
import { checkLogger, type Logger } from "../lib/log/logger.js";
import type { ViolationReport } from "./normalise.js";

export interface CspReportsOptions {
  /**
   * Called for each report that is not noise and within the limits. Its result is not awaited, and what it throws is
   * logged once. Required, unless `logger` is given. @defaultValue none
   */
  readonly onReport?: ((report: ViolationReport, req: Request) => unknown) | undefined;
  /**
   * Logs reports of a report-only policy at `info` and all others at `warn`; at most once a minute, it logs how many were
   * left out. @defaultValue none
   */
  readonly logger?: Logger | undefined;
  /** The longest accepted body in bytes, 1 to 10,485,760. @defaultValue `65_536` */
  readonly maxBytes?: number | undefined;
  /** How many reports are passed on in any minute, in each process, 1 to 1,000,000. @defaultValue `600` */
  readonly maxPerMinute?: number | undefined;
}

export const OPTIONS = () =>
  ({
    onReport: fn("must be a function (report, req)"),
    logger: checkLogger,
    maxBytes: integer({ min: 1, max: 10_485_760, unit: "bytes" }, 65_536),
    maxPerMinute: integer({ min: 1, max: 1_000_000, unit: "reports" }, 600),
  }) satisfies SchemaOf<CspReportsOptions>;

export function checkOptions(options: CspReportsOptions | undefined) {
  const { checker, plan } = readOptions("cspReports()", OPTIONS, options);
  if (checker.options.onReport === undefined && checker.options.logger === undefined) {
    const reason = "is required, or a logger: else reports would go nowhere";
    checker.add("onReport", reason, undefined, "ERR_PORTICO_MISSING_OPTION");
  }
  return checker.done(plan);
}
