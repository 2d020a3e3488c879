import fc from "fast-check";
import helmet, { type HelmetOptions } from "helmet";
import { REFERRER_POLICIES } from "../../src/security-headers/header-options.js";
import type { SecurityHeadersOptions } from "../../src/security-headers/index.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { appWith, get, onlyOurs } from "./support.js";

/** The same settings as options of both packages; obsolete headers of helmet are off. */
interface Wish {
  readonly directives: Record<string, string[]>;
  readonly reportOnly: boolean;
  readonly referrerPolicy: (typeof REFERRER_POLICIES)[number][];
  readonly frameOptions: "deny" | "sameorigin" | false;
  readonly maxAge: number;
  readonly includeSubDomains: boolean;
  readonly opener: "same-origin" | "same-origin-allow-popups" | "unsafe-none" | false;
  readonly resource: "same-origin" | "same-site" | "cross-origin" | false;
  readonly embedder: "require-corp" | "credentialless" | false;
  readonly originAgentCluster: boolean;
}

const sources = fc.uniqueArray(
  fc.constantFrom("'self'", "https:", "data:", "https://a.example", "*.b.example:8443"),
  {
    minLength: 1,
  },
);
const off = <T>(values: fc.Arbitrary<T>) => fc.oneof(values, fc.constant<false>(false));
const wishes: fc.Arbitrary<Wish> = fc.record({
  directives: fc.record({
    defaultSrc: sources,
    baseUri: sources,
    formAction: sources,
    frameAncestors: fc.constantFrom(["'none'"], ["'self'"]),
    objectSrc: sources,
    imgSrc: sources,
    "script-src": sources,
  }),
  reportOnly: fc.boolean(),
  referrerPolicy: fc.uniqueArray(fc.constantFrom(...REFERRER_POLICIES), { minLength: 1 }),
  frameOptions: off(fc.constantFrom("deny" as const, "sameorigin")),
  maxAge: fc.double({ min: 0, max: 1e9, noNaN: true }),
  includeSubDomains: fc.boolean(),
  opener: off(fc.constantFrom("same-origin" as const, "same-origin-allow-popups", "unsafe-none")),
  resource: off(fc.constantFrom("same-origin" as const, "same-site", "cross-origin")),
  embedder: off(fc.constantFrom("require-corp" as const, "credentialless")),
  originAgentCluster: fc.boolean(),
});

it("sends the same headers as helmet over TLS, for all settings that both have", async () => {
  await fc.assert(
    fc.asyncProperty(wishes, async (wish) => {
      const ours = (await get(appWith([securityHeaders(inOurs(wish))]), true)).headers;
      const theirs = (await get(appWith([helmet(inHelmets(wish)) as never]), true)).headers;
      expect(normal(ours)).toEqual(normal(theirs));
    }),
    { numRuns: 60 },
  );
});

function inOurs(wish: Wish): SecurityHeadersOptions {
  return {
    contentSecurityPolicy: {
      directives: { ...wish.directives, upgradeInsecureRequests: null },
      reportOnly: wish.reportOnly,
    },
    referrerPolicy: wish.referrerPolicy,
    frameOptions: wish.frameOptions,
    strictTransportSecurity: { maxAge: wish.maxAge, includeSubDomains: wish.includeSubDomains },
    crossOriginOpenerPolicy: wish.opener,
    crossOriginResourcePolicy: wish.resource,
    crossOriginEmbedderPolicy: wish.embedder,
    originAgentCluster: wish.originAgentCluster,
  };
}

function inHelmets(wish: Wish): HelmetOptions {
  const policy = <T>(value: T | false) => value && { policy: value };
  return {
    contentSecurityPolicy: { useDefaults: false, directives: wish.directives, reportOnly: wish.reportOnly },
    referrerPolicy: { policy: wish.referrerPolicy },
    frameguard: wish.frameOptions && { action: wish.frameOptions },
    strictTransportSecurity: { maxAge: wish.maxAge, includeSubDomains: wish.includeSubDomains },
    crossOriginOpenerPolicy: policy(wish.opener),
    crossOriginResourcePolicy: policy(wish.resource),
    crossOriginEmbedderPolicy: policy(wish.embedder),
    originAgentCluster: wish.originAgentCluster,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
  };
}

/** helmet writes X-Frame-Options in capitals, and no space behind a policy's semicolons: both mean the same. */
function normal(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(onlyOurs(headers)).map(([name, value]) => [
      name,
      name === "x-frame-options" ? value.toLowerCase() : value.replace(/; ?/g, ";"),
    ]),
  );
}
