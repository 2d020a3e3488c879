import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { isPreflight } from "../lib/http/method.js";
import { send } from "../lib/response/send.js";
import { answerProblem } from "../lib/response/send-problem.js";

const METHODS = "POST, OPTIONS";
const PREFLIGHT_SECONDS = 86_400;

/**
 * Allows every origin, also one that an earlier `cors` refused: reports have no credentials, and the answer reveals
 * nothing. A header that an earlier `cors` has set stays.
 */
export function allowOrigin(req: IncomingMessage, res: ServerResponse): void {
  if (req.headers.origin === undefined || res.headersSent) return;
  if (!res.hasHeader("access-control-allow-origin")) res.setHeader("Access-Control-Allow-Origin", "*");
}

/** Answers a request that cannot be a report; false if it can. */
export function answerOther(req: IncomingMessage, res: ServerResponse): boolean {
  if (req.method === "OPTIONS") {
    answerOptions(req, res);
  } else if (req.method !== "POST") {
    res.setHeader("Allow", METHODS);
    answerProblem(req, res, 405, { detail: "Reports come by POST." });
  } else if (!isReportType(req.headers["content-type"])) {
    res.setHeader("Accept-Post", ACCEPTED);
    answerProblem(req, res, 415, { detail: `Reports are of type ${ACCEPTED}.` });
  } else if (isEncoded(req.headers) && !req.readableDidRead) {
    res.setHeader("Accept-Encoding", "identity"); // RFC 9110 section 12.5.3
    answerProblem(req, res, 415, { detail: "Reports come without a content encoding." });
  } else {
    return false;
  }
  return true;
}

/** Browsers send a preflight for pages of other origins, because the content types of reports are not CORS-safelisted. */
function answerOptions(req: IncomingMessage, res: ServerResponse): void {
  if (isPreflight(req.method, req.headers)) {
    res.setHeader("Access-Control-Allow-Methods", "POST");
    res.setHeader("Access-Control-Allow-Headers", "content-type");
    res.setHeader("Access-Control-Max-Age", PREFLIGHT_SECONDS);
  } else {
    res.setHeader("Allow", METHODS);
  }
  send(req, res, 204, undefined, "");
}

/** The last one is used by old Firefox. */
const TYPES = ["application/csp-report", "application/reports+json", "application/json"];

/** The value of Accept-Post (W3C Linked Data Platform, section 7.1). */
export const ACCEPTED = TYPES.join(", ");

/** Whether reports may have this type. Its parameters are ignored: JSON is always UTF-8 (RFC 8259 section 8.1). */
export function isReportType(contentType: string | undefined): boolean {
  const [type] = (contentType ?? "").split(";", 1);
  return TYPES.includes(type!.trim().toLowerCase());
}

/** Whether the body has an encoding. Browsers never compress reports, and a compressed body could be very large. */
export function isEncoded(headers: IncomingHttpHeaders): boolean {
  const encoding = headers["content-encoding"]?.trim().toLowerCase();
  return encoding !== undefined && encoding !== "" && encoding !== "identity";
}
