import type { SecurityHeadersOptions } from "../../src/security-headers/index.js";
import { headersWith, onlyOurs } from "./support.js";

const HSTS = "max-age=31536000; includeSubDomains";
const COMMON = {
  "content-security-policy":
    "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  "referrer-policy": "origin-when-cross-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "deny",
  "x-xss-protection": "0",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};
const PAGE = {
  "content-security-policy":
    "default-src 'none'; script-src 'nonce-*' 'strict-dynamic'; style-src 'self' 'nonce-*'; img-src 'self'; " +
    "font-src 'self'; media-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " +
    "frame-ancestors 'none'",
  "referrer-policy": "strict-origin-when-cross-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "deny",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
  "origin-agent-cluster": "?1",
};
const API = {
  "content-security-policy":
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "deny",
  "cross-origin-resource-policy": "same-origin",
};

const upgraded = (headers: Record<string, string>) => ({
  ...headers,
  "content-security-policy": `${headers["content-security-policy"]}; upgrade-insecure-requests`,
  "strict-transport-security": HSTS,
});

it.each<[string, SecurityHeadersOptions | undefined, boolean, Record<string, string>]>([
  ["no options, http", undefined, false, COMMON],
  ["no options, TLS", undefined, true, upgraded(COMMON)],
  ["common, http", { preset: "common" }, false, COMMON],
  ["page, http", { preset: "page" }, false, PAGE],
  ["page, TLS", { preset: "page" }, true, upgraded(PAGE)],
  ["api, http", { preset: "api" }, false, API],
  ["api, TLS", { preset: "api" }, true, { ...API, "strict-transport-security": HSTS }],
])("%s: exactly these headers with exactly these values", async (_name, options, tls, expected) => {
  const sent = onlyOurs(await headersWith(options, tls));
  for (const [name, value] of Object.entries(sent)) sent[name] = value.replace(/'nonce-[^']+'/g, "'nonce-*'");
  expect(sent).toEqual(expected);
});

it.each<[string, SecurityHeadersOptions, string, string | undefined]>([
  ["a policy", { referrerPolicy: "no-referrer" }, "referrer-policy", "no-referrer"],
  [
    "policies, in their order",
    { referrerPolicy: ["no-referrer", "same-origin"] },
    "referrer-policy",
    "no-referrer,same-origin",
  ],
  ["no policy", { referrerPolicy: false }, "referrer-policy", undefined],
  ["sameorigin", { frameOptions: "sameorigin" }, "x-frame-options", "sameorigin"],
  ["false", { frameOptions: false }, "x-frame-options", undefined],
  [
    "same-origin-allow-popups",
    { crossOriginOpenerPolicy: "same-origin-allow-popups" },
    "cross-origin-opener-policy",
    "same-origin-allow-popups",
  ],
  ["false", { crossOriginOpenerPolicy: false }, "cross-origin-opener-policy", undefined],
  [
    "cross-origin",
    { crossOriginResourcePolicy: "cross-origin" },
    "cross-origin-resource-policy",
    "cross-origin",
  ],
  ["false", { crossOriginResourcePolicy: false }, "cross-origin-resource-policy", undefined],
  [
    "credentialless",
    { crossOriginEmbedderPolicy: "credentialless" },
    "cross-origin-embedder-policy",
    "credentialless",
  ],
  ["true", { originAgentCluster: true }, "origin-agent-cluster", "?1"],
  ["false", { preset: "page", originAgentCluster: false }, "origin-agent-cluster", undefined],
  [
    "a fraction, dropped",
    { strictTransportSecurity: { maxAge: 1.9 } },
    "strict-transport-security",
    "max-age=1; includeSubDomains",
  ],
  [
    "nought",
    { strictTransportSecurity: { maxAge: 0 } },
    "strict-transport-security",
    "max-age=0; includeSubDomains",
  ],
  [
    "its own host only",
    { strictTransportSecurity: { includeSubDomains: false } },
    "strict-transport-security",
    "max-age=31536000",
  ],
  [
    "preload",
    { strictTransportSecurity: { preload: true, maxAge: 63_072_000 } },
    "strict-transport-security",
    "max-age=63072000; includeSubDomains; preload",
  ],
  ["false", { strictTransportSecurity: false }, "strict-transport-security", undefined],
  [
    "features",
    { permissionsPolicy: { camera: [], geolocation: ["self", "https://a.example"], fullscreen: "*" } },
    "permissions-policy",
    'camera=(), geolocation=(self "https://a.example"), fullscreen=*',
  ],
  ["no features", { preset: "page", permissionsPolicy: {} }, "permissions-policy", undefined],
  [
    "a newer feature",
    { permissionsPolicy: { "quantum-entanglement": [] } },
    "permissions-policy",
    "quantum-entanglement=()",
  ],
  ["features off", { preset: "page", permissionsPolicy: false }, "permissions-policy", undefined],
  [
    "endpoints",
    { reportingEndpoints: { default: "https://r.example/a", csp: 'https://r.example/?q="x\\y"' } },
    "reporting-endpoints",
    'default="https://r.example/a", csp="https://r.example/?q=\\"x\\\\y\\""',
  ],
  ["no endpoints", { reportingEndpoints: {} }, "reporting-endpoints", undefined],
  ["no-store", { cacheControl: "no-store" }, "cache-control", "no-store"],
  ["false", { preset: "api", cacheControl: false }, "cache-control", undefined],
  ["false", { contentSecurityPolicy: false }, "content-security-policy", undefined],
])("%s: %j", async (_name, options, header, expected) => {
  expect((await headersWith(options, true))[header]).toBe(expected);
});

it.each([
  [undefined],
  [{}],
  [Object.create(null)],
  [
    {
      preset: undefined,
      contentSecurityPolicy: undefined,
      strictTransportSecurity: undefined,
      override: undefined,
    },
  ],
  [{ contentSecurityPolicy: {}, strictTransportSecurity: {} }],
  [{ contentSecurityPolicy: { directives: undefined, nonce: undefined, reportTo: undefined } }],
  [
    {
      contentSecurityPolicy: { directives: { imgSrc: undefined } },
      permissionsPolicy: { camera: undefined },
    },
  ],
])("%j means the defaults", async (options) => {
  expect(onlyOurs(await headersWith(options as SecurityHeadersOptions))).toEqual(COMMON);
});

it("copies its options: changed later they change nothing", async () => {
  const directives = { imgSrc: ["'self'"] };
  const options: SecurityHeadersOptions = { contentSecurityPolicy: { directives } };
  const headers = headersWith(options);
  directives.imgSrc.push("*");
  (options as { frameOptions?: string }).frameOptions = "sameorigin";
  expect((await headers)["content-security-policy"]).toMatch(/img-src 'self'$/);
  expect((await headers)["x-frame-options"]).toBe("deny");
});
