import type { ForeignOptions } from "../config/foreign.js";

const ALWAYS = "it is always sent";
const ABSENT = "there is none: no browser of today needs it";

/** Option names of packages that people come from, and what they are here. */
export const FOREIGN: ForeignOptions = {
  hono: {
    contentSecurityPolicyReportOnly: "it is contentSecurityPolicy: { directives, reportOnly: true }",
    xFrameOptions: "frameOptions",
    xContentTypeOptions: ALWAYS,
    xXssProtection: "it is always sent, with the value 0",
    xDnsPrefetchControl: ABSENT,
    xDownloadOptions: ABSENT,
    xPermittedCrossDomainPolicies: ABSENT,
    reportTo: "it is contentSecurityPolicy: { reportTo }, with reportingEndpoints",
    removePoweredBy: "X-Powered-By is always removed",
  },
};
