import express from "express";
import request from "supertest";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { securityHeaders } from "../../src/security-headers/index.js";

const csp = (directives: object, more: object = {}) => ({ contentSecurityPolicy: { directives, ...more } });
const CSP = "contentSecurityPolicy";
const HSTS = "strictTransportSecurity";

it.each<[string, unknown, RegExp]>([
  ["options", "common", /must be an object/],
  ["options", null, /must be an object/],
  ["options", [], /must be an object/],
  ["options", new Map(), /must be an object/],
  ["permisionsPolicy", { permisionsPolicy: {} }, /Did you mean "permissionsPolicy"/],
  ["csp", { csp: {} }, /The options are preset, contentSecurityPolicy/],
  ["hsts", { hsts: false }, /helmet's name; here it is `strictTransportSecurity`/],
  ["xFrameOptions", { xFrameOptions: false }, /here it is `frameOptions`/],
  ["preset", { preset: "strict" }, /"common", "page", "api"/],
  ["preset", { preset: "pages" }, /Did you mean "page"/],
  ["override", { override: 1 }, /true or false/],
  // contentSecurityPolicy
  [CSP, { contentSecurityPolicy: true }, /must be false, or an object/],
  [CSP, { contentSecurityPolicy: null }, /must be false, or an object/],
  [CSP, { contentSecurityPolicy: "default-src 'self'" }, /must be false, or an object/],
  [`${CSP}.useDefaults`, { contentSecurityPolicy: { useDefaults: false } }, /null removes one/],
  [`${CSP}.reportonly`, { contentSecurityPolicy: { reportonly: true } }, /Did you mean "reportOnly"/],
  [`${CSP}.nonce`, { contentSecurityPolicy: { nonce: "abc" } }, /true or false/],
  [`${CSP}.directives`, csp([]), /must be an object/],
  [`${CSP}.directives.scriptSource`, csp({ scriptSource: [] }), /Did you mean "script-src"/],
  [`${CSP}.directives.quux`, csp({ quux: [] }), /The directives are base-uri/],
  [`${CSP}.directives.reportTo`, csp({ reportTo: ["x"] }), /option contentSecurityPolicy\.reportTo/],
  [`${CSP}.directives.plugin-types`, csp({ "plugin-types": ["x/y"] }), /objectSrc/],
  [`${CSP}.directives.blockAllMixedContent`, csp({ blockAllMixedContent: [] }), /leave it out/],
  [`${CSP}.directives.script-src`, csp({ scriptSrc: ["'self'"], "script-src": ["'self'"] }), /given twice/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["self"] }), /write "'self'"/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: "self https:" }), /write "'self'"/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["unsafe-inline"] }), /write "'unsafe-inline'"/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["nonce-abc"] }), /single quotes/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["sha256-abc"] }), /write "'sha256-abc'"/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["'nonce-abc'"] }), /nonce: true/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: [() => "'nonce-abc'"] }), /nonce: true/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["'sefl'"] }), /Did you mean "'self'"/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["'self"] }), /Did you mean "'self'"/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["'none'", "https:"] }), /must stand alone/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: [] }), /empty list; write \["'none'"\]/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: [""] }), /empty value/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: true }), /list of strings/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["https://a.example; img-src *"] }), /semicolon/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["https://a.example,https://b.example"] }), /comma/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["https://a.example\r\nx"] }), /control/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["https://a.example\u0000"] }), /control/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["https://\u00fc.example"] }), /punycode/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["https://a.example/?q"] }), /not a source/],
  [`${CSP}.directives.scriptSrc`, csp({ scriptSrc: ["https://a.*.example"] }), /not a source/],
  [`${CSP}.directives.imgSrc`, csp({ imgSrc: ["data"] }), /write "data:"/],
  [`${CSP}.directives.defaultSrc`, csp({ defaultSrc: null }), /cannot be removed/],
  [`${CSP}.directives.script-src`, csp({ scriptSrc: ["'strict-dynamic'"] }), /nonce: true/],
  [
    `${CSP}.directives.script-src`,
    { preset: "page", contentSecurityPolicy: { nonce: false } },
    /nonce: true/,
  ],
  [`${CSP}.directives.style-src`, csp({ styleSrc: ["'strict-dynamic'"] }, { nonce: true }), /scripts only/],
  [`${CSP}.directives.frameAncestors`, csp({ frameAncestors: ["'unsafe-inline'"] }), /no meaning for frames/],
  [`${CSP}.directives.sandbox`, csp({ sandbox: ["allow-script"] }), /Did you mean "allow-scripts"/],
  [`${CSP}.directives.sandbox`, csp({ sandbox: [] }, { reportOnly: true }), /no effect in a report-only/],
  [`${CSP}.directives.upgradeInsecureRequests`, csp({ upgradeInsecureRequests: ["x"] }), /takes no values/],
  [
    `${CSP}.directives.upgradeInsecureRequests`,
    csp({ upgradeInsecureRequests: true }),
    /\[\] for a directive/,
  ],
  [`${CSP}.directives.requireTrustedTypesFor`, csp({ requireTrustedTypesFor: ["script"] }), /"'script'"/],
  [`${CSP}.directives.trustedTypes`, csp({ trustedTypes: ["allow-duplicates"] }), /single quotes/],
  [`${CSP}.directives.trustedTypes`, csp({ trustedTypes: ["'none'", "a"] }), /must stand alone/],
  [`${CSP}.directives.webrtc`, csp({ webrtc: ["block"] }), /'block'/],
  [`${CSP}.directives.reportUri`, csp({ reportUri: [] }), /no address/],
  [`${CSP}.directives.reportUri`, csp({ reportUri: ["https://"] }), /is not an address/],
  [`${CSP}.reportTo`, { contentSecurityPolicy: { reportTo: "x" } }, /reportingEndpoints, which has none/],
  [
    `${CSP}.reportTo`,
    { contentSecurityPolicy: { reportTo: "x" }, reportingEndpoints: { csp: "https://r.example" } },
    /reportingEndpoints: csp/,
  ],
  [
    `${CSP}.directives.report-uri`,
    {
      ...csp({ reportUri: "/csp" }, { reportTo: "csp" }),
      reportingEndpoints: { csp: "https://r.example" },
    },
    /sent by reportTo already/,
  ],
  // the other headers
  ["referrerPolicy", { referrerPolicy: "no-referer" }, /Did you mean "no-referrer"/],
  ["referrerPolicy", { referrerPolicy: ["origin", "origin"] }, /twice/],
  ["referrerPolicy", { referrerPolicy: [] }, /write false/],
  ["referrerPolicy", { referrerPolicy: "" }, /must be false, or one or a list/],
  ["referrerPolicy", { referrerPolicy: true }, /must be false, or one or a list/],
  ["referrerPolicy", { referrerPolicy: [undefined] }, /must be false, or one or a list/],
  ["frameOptions", { frameOptions: "DENY" }, /Did you mean "deny"/],
  ["frameOptions", { frameOptions: "ALLOW-FROM https://a.example" }, /frameAncestors/],
  ["frameOptions", { frameOptions: true }, /must be false or one of/],
  ["frameOptions", { frameOptions: { action: "deny" } }, /"deny", "sameorigin"/],
  [HSTS, { strictTransportSecurity: true }, /must be false, or an object/],
  [HSTS, { strictTransportSecurity: 31536000 }, /maxAge: 31536000/],
  [`${HSTS}.maxage`, { strictTransportSecurity: { maxage: 1 } }, /Did you mean "maxAge"/],
  [
    `${HSTS}.includeSubdomains`,
    { strictTransportSecurity: { includeSubdomains: true } },
    /"includeSubDomains"/,
  ],
  [`${HSTS}.maxAge`, { strictTransportSecurity: { maxAge: Number.NaN } }, /0 or more/],
  [`${HSTS}.maxAge`, { strictTransportSecurity: { maxAge: -1 } }, /0 or more/],
  [`${HSTS}.maxAge`, { strictTransportSecurity: { maxAge: Number.POSITIVE_INFINITY } }, /0 or more/],
  [`${HSTS}.maxAge`, { strictTransportSecurity: { maxAge: "1" } }, /number of seconds/],
  [`${HSTS}.maxAge`, { strictTransportSecurity: { maxAge: 1e300 } }, /number of seconds/],
  [`${HSTS}.maxAge`, { strictTransportSecurity: { maxAge: 86_400, preload: true } }, /31536000 or more/],
  [
    `${HSTS}.includeSubDomains`,
    { strictTransportSecurity: { includeSubDomains: false, preload: true } },
    /must be true with preload/,
  ],
  [
    "crossOriginOpenerPolicy",
    { crossOriginOpenerPolicy: "same-site" },
    /must be false or one of "same-origin"/,
  ],
  ["crossOriginResourcePolicy", { crossOriginResourcePolicy: "cross-orgin" }, /Did you mean "cross-origin"/],
  ["crossOriginEmbedderPolicy", { crossOriginEmbedderPolicy: true }, /"require-corp"/],
  ["originAgentCluster", { originAgentCluster: "?1" }, /true or false/],
  ["cacheControl", { cacheControl: "no-cache" }, /must be false or one of "no-store"/],
  ["permissionsPolicy", { permissionsPolicy: "camera=()" }, /must be false, or an object/],
  ["permissionsPolicy.camra", { permissionsPolicy: { camra: [] } }, /Did you mean "camera"/],
  ["permissionsPolicy.display capture", { permissionsPolicy: { "display capture": [] } }, /display-capture/],
  ["permissionsPolicy.camera", { permissionsPolicy: { camera: "self" } }, /\["self", /],
  ["permissionsPolicy.camera", { permissionsPolicy: { camera: ["'self'"] } }, /write "self"/],
  ["permissionsPolicy.camera", { permissionsPolicy: { camera: ["*"] } }, /instead of the list/],
  ["permissionsPolicy.camera", { permissionsPolicy: { camera: ["none"] } }, /write \[\] for nobody/],
  ["permissionsPolicy.camera", { permissionsPolicy: { camera: ["https://a.example/x"] } }, /no path/],
  ["permissionsPolicy.camera", { permissionsPolicy: { camera: ["https://a.example/"] } }, /no slash/],
  ["permissionsPolicy.camera", { permissionsPolicy: { camera: ['https://a.example"'] } }, /neither/],
  ["permissionsPolicy.camera", { permissionsPolicy: { camera: [undefined] } }, /neither/],
  ["permissionsPolicy.camera", { permissionsPolicy: { camera: ["self", "self"] } }, /twice/],
  ["reportingEndpoints", { reportingEndpoints: "https://r.example" }, /must be false, or an object/],
  ["reportingEndpoints.CSP", { reportingEndpoints: { CSP: "https://r.example" } }, /lower-case letters/],
  ["reportingEndpoints.csp", { reportingEndpoints: { csp: "http://r.example" } }, /begin with https:/],
  ["reportingEndpoints.csp", { reportingEndpoints: { csp: "/reports" } }, /whole address/],
  ["reportingEndpoints.csp", { reportingEndpoints: { csp: "https://r.example/\u00fc" } }, /percent-encode/],
  [
    "reportingEndpoints.csp",
    { reportingEndpoints: { csp: "https://r.example/\r\nX: y" } },
    /printable ASCII/,
  ],
  ["reportingEndpoints.csp", { reportingEndpoints: { csp: "https://u:secret@r.example" } }, /leave it out/],
])("%s: %j is refused", (option, options, reason) => {
  const { problems } = refused(options);
  expect(problems.map((problem) => problem.option)).toEqual([option]);
  expect(problems[0]?.reason).toMatch(reason);
});

it("names all problems at once", () => {
  const { problems } = refused({
    preset: 1,
    frameOptions: 2,
    contentSecurityPolicy: { nonce: 3, directives: { imgSrc: ["self"], fontSrc: ["self"] } },
    strictTransportSecurity: { maxAge: -1, preload: "yes" },
    permissionsPolicy: { camera: 1, usb: 1 },
    nope: 1,
  });
  expect(problems.map(({ option }) => option).sort()).toEqual([
    "contentSecurityPolicy.directives.fontSrc",
    "contentSecurityPolicy.directives.imgSrc",
    "contentSecurityPolicy.nonce",
    "frameOptions",
    "nope",
    "permissionsPolicy.camera",
    "permissionsPolicy.usb",
    "preset",
    "strictTransportSecurity.maxAge",
    "strictTransportSecurity.preload",
  ]);
});

it("does not print a password in an endpoint's address", () => {
  const { message } = refused({
    reportingEndpoints: { csp: "https://u:hunter2@r.example", other: "http://u:hunter2@r.example" },
    contentSecurityPolicy: { reportTo: "nope" },
  });
  expect(message).not.toContain("hunter2");
});

it("forgotten parentheses are reported at the first request", async () => {
  const app = express();
  app.use(securityHeaders as never);
  const seen: unknown[] = [];
  app.use(((error, _req, res, _next) => {
    seen.push(error);
    res.status(500).end();
  }) as express.ErrorRequestHandler);
  await request(app).get("/").expect(500);
  expect(seen).toEqual([expect.any(ConfigError)]);
  expect(String(seen[0])).toMatch(/app\.use\(securityHeaders\(\)\)/);
});

function refused(options: unknown): ConfigError {
  try {
    securityHeaders(options as never);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("was not refused");
}
