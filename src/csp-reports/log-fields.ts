import type { ViolationReport } from "./normalise.js";
import { truncate, visible } from "./text.js";
import { urlForLog } from "./url.js";

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
