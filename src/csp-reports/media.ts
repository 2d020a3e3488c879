import type { IncomingHttpHeaders } from "node:http";

/** The last is how Firefox named its reports before it knew a type for them. */
const TYPES = ["application/csp-report", "application/reports+json", "application/json"];

/** The value of Accept-Post (W3C Linked Data Platform, section 7.1), for the answer to another type. */
export const ACCEPTED = TYPES.join(", ");

/** Whether it is one of the types that reports come in. Parameters say nothing: JSON is UTF-8 (RFC 8259 section 8.1). */
export function isReportType(contentType: string | undefined): boolean {
  const [type] = (contentType ?? "").split(";", 1);
  return TYPES.includes(type!.trim().toLowerCase());
}

/** No browser compresses a report: what is coded would only be a way to send much more than it seems. */
export function isCoded(headers: IncomingHttpHeaders): boolean {
  const coding = headers["content-encoding"]?.trim().toLowerCase();
  return coding !== undefined && coding !== "" && coding !== "identity";
}
