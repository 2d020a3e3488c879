import type { ForeignOptions } from "../lib/config/checker.js";

const ALWAYS = "it is always sent";
const ONLY_HELMET = 'only preset: "helmet" sends that header: no current browser needs it';
const XSS = 'the presets "common" and "helmet" send it, with the value 0';
const REMOVED = "X-Powered-By is always removed";

/** Options of other packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  helmet: {
    "xFrameOptions frameguard": "frameOptions",
    hsts: "strictTransportSecurity",
    "xContentTypeOptions noSniff": ALWAYS,
    "xXssProtection xssFilter": XSS,
    "xDnsPrefetchControl dnsPrefetchControl xDownloadOptions ieNoOpen": ONLY_HELMET,
    "xPermittedCrossDomainPolicies permittedCrossDomainPolicies": ONLY_HELMET,
    "xPoweredBy hidePoweredBy": REMOVED,
    // of its earlier versions
    featurePolicy: "permissionsPolicy",
    noCache: 'it is cacheControl: "no-store"',
    "expectCt hpkp": "there is none: browsers have dropped the header",
  },
  hono: {
    contentSecurityPolicyReportOnly: "it is contentSecurityPolicy: { directives, reportOnly: true }",
    xFrameOptions: "frameOptions",
    xContentTypeOptions: ALWAYS,
    xXssProtection: XSS,
    "xDnsPrefetchControl xDownloadOptions xPermittedCrossDomainPolicies": ONLY_HELMET,
    reportTo: "it is contentSecurityPolicy: { reportTo }, with reportingEndpoints",
    removePoweredBy: REMOVED,
  },
};

/** The same for helmet's `contentSecurityPolicy`. */
export const FOREIGN_POLICY: ForeignOptions = {
  helmet: {
    useDefaults: "directives replace those of the preset, and null removes one: { fontSrc: null }",
    loose: "there is none: every directive is checked",
    "setAllHeaders disableAndroid browserSniff": "there is none: browsers that needed it are gone",
  },
};

/** For a value in helmet's form (`{ policy: "no-referrer" }`): the end of a sentence that says what to write here. */
export function hintForHelmetValue(
  option: string,
  given: unknown,
  accepts: (value: unknown) => boolean,
): string {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return "";
  const { policy, action } = given as { readonly policy?: unknown; readonly action?: unknown };
  const value =
    policy ??
    (typeof action === "string" ? action.toLowerCase().replace("same-origin", "sameorigin") : undefined);
  return accepts(value) ? `. That is helmet's form; here write ${option}: ${JSON.stringify(value)}` : "";
}
