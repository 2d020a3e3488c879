import type { Request } from "express";
import { withoutUserinfo } from "../lib/http/target.js";
import { callObserver } from "../lib/log/callback-faults.js";
import type { Logger } from "../lib/log/logger.js";
import { stderrLogger } from "../lib/log/stderr-logger.js";
import { CONTROL_CLASS, unicodeEscape } from "../lib/log/text.js";
import { knownState } from "../lib/request/state.js";
import { describeThrown } from "../lib/values/thrown.js";
import { truncate, type ViolationReport } from "./normalise.js";
import type { CspReportsOptions } from "./options.js";

/** Passes reports to `onReport` and the logger, and keeps their errors away from the request. */
export class Observers {
  readonly #logged = new Set<string>();

  /** @param logger one that never throws */
  constructor(
    private readonly onReport: CspReportsOptions["onReport"],
    private readonly logger: Logger | undefined,
  ) {}

  pass(report: ViolationReport, req: Request): void {
    const level = report.disposition === "report" ? "info" : "warn";
    const state = knownState(req);
    const reports = state?.inspection?.reports;
    if (this.logger !== undefined || reports !== undefined) {
      const fields = logFields(report, state?.id);
      this.logger?.[level](fields, "violation report");
      if (reports !== undefined && reports.length < MAX_INSPECTED) reports.push(fields);
    }
    callObserver(
      () => this.onReport?.(report, req),
      (fault) => this.logFault("onReport threw", fault),
    );
  }

  /** Logs an error once for each `what`, because it would come with every report. */
  logFault(what: string, fault: unknown): void {
    if (this.#logged.has(what)) return;
    this.#logged.add(what);
    const logger = this.logger ?? stderrLogger;
    logger.error(
      { error: describeThrown(fault) },
      `cspReports: ${what} (logged once; requests are not affected)`,
    );
  }
}

/** The reports of one request that the inspector shows. */
const MAX_INSPECTED = 10;
const MAX_TEXT = 256;
const MAX_URL = 1_024;

/**
 * The log fields of a report. Anyone can send one, so texts are shortened and escaped, and URLs lose the parts that can
 * hold a secret. The policy, which may hold a nonce, and the body of other types are left out.
 */
export function logFields(report: ViolationReport, requestId: string | undefined): object {
  const fields = {
    type: word(report.type),
    documentUrl: url(report.documentUrl),
    blockedUrl: url(report.blockedUrl),
    effectiveDirective: word(report.effectiveDirective),
    disposition: report.disposition,
    statusCode: report.statusCode,
    sample: word(report.sample),
    sourceFile: url(report.sourceFile),
    lineNumber: report.lineNumber,
    columnNumber: report.columnNumber,
    detail: sentence(report.message), // many loggers use `message` for the message of the log line
    userAgent: word(report.userAgent),
    requestId,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function word(text: string | undefined): string | undefined {
  return text === undefined ? undefined : visible(truncate(text, MAX_TEXT));
}

function url(text: string | undefined): string | undefined {
  return text === undefined ? undefined : visible(truncate(urlForLog(text), MAX_URL));
}

/** Removes secrets from the URLs in a sentence; they may be in quotes or brackets, joined or truncated. */
function sentence(text: string | undefined): string | undefined {
  return word(text?.replace(/\S+/g, withoutSecrets));
}

/** User name and password: from the slashes to the at sign, or to the end of a truncated text. */
const USERINFO = /([/\\]{2})[^/\\]*(?:@|\u2026$)/g;

function withoutSecrets(text: string): string {
  const shown = text.replace(/\b(data|blob):.*$/is, "$1");
  return shown.includes("/") ? shown.split(/[?#]/, 1)[0]!.replace(USERINFO, "$1") : shown;
}

/** A URL for a log, also without its query, which may hold a secret (links to sign in or to reset a password). */
function urlForLog(url: string): string {
  // The content of a data: URL is removed too.
  const end = url.search(/^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? /[?#]/ : /[:?#]/);
  return withoutUserinfo(end === -1 ? url : url.slice(0, end));
}

/** Control characters, and invisible characters that could hide something. */
const UNSAFE = new RegExp(`[${CONTROL_CLASS}\\u200b-\\u200d\\u2060-\\u2065\\ufeff]`, "g");

/** Replaces control characters by escapes, so that a text from outside cannot break a log line. */
function visible(text: string): string {
  return text.replace(UNSAFE, unicodeEscape);
}
