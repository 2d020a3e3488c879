import type { ViolationReport } from "./normalise.js";
import { cut, visible } from "./text.js";
import { urlForLog } from "./url.js";

const MAX_TEXT = 256;
const MAX_URL = 1_024;

/**
 * What is logged of a report: all of it is a stranger's text, so it is made short and visible, and its URLs lose what can
 * hold a secret. The policy is left out (it is the app's own, and may hold a nonce), as is the body of other types.
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
    detail: sentence(report.message), // not `message`: that is the line's own in many loggers
    userAgent: word(report.userAgent),
    requestId,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function word(text: string | undefined): string | undefined {
  return text === undefined ? undefined : visible(cut(text, MAX_TEXT));
}

function url(text: string | undefined): string | undefined {
  return text === undefined ? undefined : visible(cut(urlForLog(text), MAX_URL));
}

/** A sentence can have URLs in it, in quotes and brackets, several without a space between, or cut short. */
function sentence(text: string | undefined): string | undefined {
  return word(text?.replace(/\S+/g, withoutSecrets));
}

/** What stands between the slashes before a host and its at sign; a host that is cut short may be a part of that. */
const USERINFO = /([/\\]{2})[^/\\]*(?:@|\u2026$)/g;

function withoutSecrets(text: string): string {
  const shown = text.replace(/\b(data|blob):.*$/is, "$1");
  return shown.includes("/") ? shown.split(/[?#]/, 1)[0]!.replace(USERINFO, "$1") : shown;
}
