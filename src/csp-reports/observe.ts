import type { Request } from "express";
import type { Logger } from "../lib/log/logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { knownState } from "../lib/request/state.js";
import { describeThrown } from "../lib/values/thrown.js";
import { logFields } from "./log-fields.js";
import type { ViolationReport } from "./normalise.js";
import type { CspReportsPlan } from "./options.js";

/** Passes reports to `onReport` and the logger, and keeps their errors away from the request. */
export class Observers {
  readonly #onReport: CspReportsPlan["onReport"];
  readonly #logger: Logger | undefined;
  readonly #logged = new Set<string>();

  /** @param logger one that never throws */
  constructor(onReport: CspReportsPlan["onReport"], logger: Logger | undefined) {
    this.#onReport = onReport;
    this.#logger = logger;
  }

  pass(report: ViolationReport, req: Request): void {
    const level = report.disposition === "report" ? "info" : "warn";
    this.#logger?.[level](logFields(report, knownState(req)?.id), "violation report");
    const failed = (fault: unknown) => this.logFault("onReport threw", fault);
    try {
      Promise.resolve(this.#onReport?.(report, req)).then(undefined, failed);
    } catch (fault) {
      failed(fault);
    }
  }

  /** Logs an error once for each `what`, because it would come with every report. */
  logFault(what: string, fault: unknown): void {
    if (this.#logged.has(what)) return;
    this.#logged.add(what);
    const logger = this.#logger ?? stderrLogger;
    logger.error(
      { error: describeThrown(fault) },
      `cspReports: ${what} (logged once; requests are not affected)`,
    );
  }
}
