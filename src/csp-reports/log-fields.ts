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

/** A sentence can have URLs in it. */
function sentence(text: string | undefined): string | undefined {
  return text === undefined ? undefined : word(cut(text, MAX_URL).replace(/\S+/g, withUrlForLog));
}

function withUrlForLog(text: string): string {
  const colon = text.indexOf("://");
  if (colon === -1) return text;
  let start = colon;
  while (start > 0 && /[a-z0-9+.-]/i.test(text[start - 1]!)) start--;
  return text.slice(0, start) + urlForLog(text.slice(start));
}
