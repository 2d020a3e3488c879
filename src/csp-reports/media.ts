import type { IncomingHttpHeaders } from "node:http";

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
