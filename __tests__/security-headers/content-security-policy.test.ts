import type { SecurityHeadersOptions } from "../../src/security-headers/index.js";
import { headersWith, parsePolicy } from "./support.js";

type Policy = NonNullable<Exclude<SecurityHeadersOptions["contentSecurityPolicy"], false>>;
const POLICY = "content-security-policy";
const REPORT_ONLY = "content-security-policy-report-only";

async function policyOf(contentSecurityPolicy: Policy, tls = false): Promise<Record<string, string[]>> {
  return parsePolicy((await headersWith({ contentSecurityPolicy }, tls))[POLICY]);
}

it("a directive replaces the preset's of its name, the others stay", async () => {
  const policy = await policyOf({ directives: { defaultSrc: ["https:"], "img-src": "'self' data:" } });
  expect(policy).toEqual({
    "default-src": ["https:"],
    "base-uri": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "object-src": ["'none'"],
    "img-src": ["'self'", "data:"],
  });
});

it("null removes a directive of the preset", async () => {
  expect(await policyOf({ directives: { formAction: null, "object-src": null } })).toEqual({
    "default-src": ["'self'"],
    "base-uri": ["'self'"],
    "frame-ancestors": ["'none'"],
  });
});

it.each<[Policy["directives"], boolean, boolean]>([
  [{}, true, true],
  [{}, false, false],
  [{ upgradeInsecureRequests: [] }, true, true],
  [{ upgradeInsecureRequests: [] }, false, false],
  [{ upgradeInsecureRequests: null }, true, false],
])("with %j, TLS %p, upgrade-insecure-requests is sent: %p", async (directives, tls, sent) => {
  const policy = await policyOf({ directives: directives! }, tls);
  expect(policy["upgrade-insecure-requests"]).toEqual(sent ? [] : undefined);
});

it.each<[string, Policy["directives"], string]>([
  ["trusted types", { "require-trusted-types-for": ["'script'"] }, "require-trusted-types-for 'script'"],
  [
    "their policies",
    { trustedTypes: ["a", "b", "'allow-duplicates'"] },
    "trusted-types a b 'allow-duplicates'",
  ],
  ["a sandbox", { sandbox: ["allow-scripts", "allow-forms"] }, "sandbox allow-scripts allow-forms"],
  ["an empty sandbox", { sandbox: [] }, "sandbox"],
  [
    "a hash",
    { scriptSrc: ["'sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='"] },
    "script-src 'sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='",
  ],
  [
    "a wildcard host and any port",
    { imgSrc: ["https://*.cdn.example:*", "*.b.example"] },
    "img-src https://*.cdn.example:* *.b.example",
  ],
  ["a path", { scriptSrc: ["https://cdn.example/lib/"] }, "script-src https://cdn.example/lib/"],
  ["schemes", { connectSrc: ["wss:", "https:"] }, "connect-src wss: https:"],
  [
    "a port of localhost",
    { connectSrc: ["ws://localhost:5173", "localhost:3000"] },
    "connect-src ws://localhost:5173 localhost:3000",
  ],
  ["report-uri", { reportUri: ["/csp", "https://r.example/csp"] }, "report-uri /csp https://r.example/csp"],
  ["webrtc", { webrtc: ["'block'"] }, "webrtc 'block'"],
  [
    "a strict policy by hash",
    { scriptSrc: ["'strict-dynamic'", "'sha384-abc'"] },
    "script-src 'strict-dynamic' 'sha384-abc'",
  ],
])("%s", async (_name, directives, expected) => {
  const sent = (await headersWith({ contentSecurityPolicy: { directives: directives! } }))[POLICY];
  expect(sent!.split("; ")).toContain(expected);
});

describe("report-only", () => {
  it("is sent instead of the enforced policy, without directives that have no effect in it", async () => {
    const headers = await headersWith({ contentSecurityPolicy: { reportOnly: true } }, true);
    expect(headers[POLICY]).toBeUndefined();
    expect(headers[REPORT_ONLY]).toMatch(/^default-src 'self'; .*object-src 'none'$/);
  });

  it("does not change X-Frame-Options, because it blocks nothing", async () => {
    const headers = await headersWith({
      contentSecurityPolicy: { reportOnly: true, directives: { frameAncestors: ["'self'"] } },
    });
    expect(headers["x-frame-options"]).toBe("deny");
  });
});

describe("reportTo", () => {
  it("is report-to with the name for new browsers, and report-uri with the address for others", async () => {
    const headers = await headersWith({
      reportingEndpoints: { csp: "https://r.example/a;b,c" },
      contentSecurityPolicy: { reportTo: "csp" },
    });
    expect(headers["reporting-endpoints"]).toBe('csp="https://r.example/a;b,c"');
    expect(headers[POLICY]).toMatch(/; report-uri https:\/\/r\.example\/a%3Bb%2Cc; report-to csp$/);
  });
});

it.each<[string[] | null, SecurityHeadersOptions["frameOptions"], string | undefined]>([
  [["'none'"], undefined, "deny"],
  [["'self'"], undefined, "sameorigin"],
  [["https://partner.example"], undefined, undefined],
  [["'self'", "https://partner.example"], undefined, undefined],
  [null, undefined, undefined],
  [["'self'"], "deny", "deny"],
  [["https://partner.example"], "sameorigin", "sameorigin"],
  [["'self'"], false, undefined],
])("frame-ancestors %j with frameOptions %p gives X-Frame-Options %p", async (ancestors, frameOptions, expected) => {
  const headers = await headersWith({
    frameOptions,
    contentSecurityPolicy: { directives: { frameAncestors: ancestors } },
  });
  expect(headers["x-frame-options"]).toBe(expected);
});
