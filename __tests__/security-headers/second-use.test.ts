import { securityHeaders } from "../../src/security-headers/index.js";
import { appWith, get, headersWith, onlyOurs } from "./support.js";

const POLICY = "content-security-policy";

it.each([
  [[{}, {}]],
  [[{}, undefined]],
  [[{}, { override: true }]],
])("one that names nothing changes nothing: %j", async (options) => {
  expect(onlyOurs(await headersWith(options as never, true))).toEqual(onlyOurs(await headersWith({}, true)));
});

it("changes only the header that it names", async () => {
  const first = {
    preset: "page",
    contentSecurityPolicy: { nonce: false, directives: { scriptSrc: "'self'" } },
  } as const;
  const before = onlyOurs(await headersWith(first, true));
  const after = onlyOurs(await headersWith([first, { frameOptions: "sameorigin" }], true));
  expect(after).toEqual({ ...before, "x-frame-options": "sameorigin" });
});

it("false takes the header away", async () => {
  const off = {
    referrerPolicy: false,
    frameOptions: false,
    strictTransportSecurity: false,
    crossOriginOpenerPolicy: false,
    crossOriginResourcePolicy: false,
    permissionsPolicy: false,
    originAgentCluster: false,
    contentSecurityPolicy: false,
    reportingEndpoints: false,
  } as const;
  const first = { preset: "page", reportingEndpoints: { csp: "https://r.example" } } as const;
  expect(onlyOurs(await headersWith([first, off], true))).toEqual({ "x-content-type-options": "nosniff" });
});

it("replaces the policy as a whole; a report-only policy does not replace it, and false removes both", async () => {
  const route = { contentSecurityPolicy: { directives: { imgSrc: ["*"] } } } as const;
  const reported = {
    contentSecurityPolicy: { reportOnly: true, directives: { imgSrc: ["'none'"] } },
  } as const;
  const first = { contentSecurityPolicy: { directives: { fontSrc: ["*"] } } } as const;
  expect((await headersWith([first, route]))[POLICY]).toBe((await headersWith(route))[POLICY]);

  const headers = await headersWith([first, reported]);
  expect(headers[POLICY]).toMatch(/font-src \*$/);
  expect(headers["content-security-policy-report-only"]).toMatch(/img-src 'none'$/);

  const none = await headersWith([first, reported, { contentSecurityPolicy: false }]);
  expect(none).not.toHaveProperty(POLICY);
  expect(none).not.toHaveProperty("content-security-policy-report-only");
});

it("X-Frame-Options goes with a frame-ancestors that it names", async () => {
  const embedded = { contentSecurityPolicy: { directives: { frameAncestors: ["https://partner.example"] } } };
  expect(await headersWith([{}, embedded])).not.toHaveProperty("x-frame-options");
  const other = { contentSecurityPolicy: { directives: { imgSrc: ["*"] } } };
  expect((await headersWith([{ frameOptions: "sameorigin" }, other]))["x-frame-options"]).toBe("sameorigin");
});

it("a preset names every header", async () => {
  const api = await headersWith([{ preset: "page" }, { preset: "api" }], true);
  expect(onlyOurs(api)).toEqual(onlyOurs(await headersWith({ preset: "api" }, true)));
  expect(api["cache-control"]).toBe("no-store");
  expect(await headersWith([{ preset: "api" }, { preset: "common" }])).not.toHaveProperty("cache-control");
});

it("follows TLS as the first does", async () => {
  const route = { contentSecurityPolicy: {}, strictTransportSecurity: { maxAge: 5 } };
  const secure = await headersWith([{}, route], true);
  expect(secure[POLICY]).toMatch(/upgrade-insecure-requests$/);
  expect(secure["strict-transport-security"]).toBe("max-age=5; includeSubDomains");
  const plain = await headersWith([{}, route]);
  expect(plain[POLICY]).not.toMatch(/upgrade-insecure-requests/);
  expect(plain).not.toHaveProperty("strict-transport-security");
});

it("brings a nonce to a route, and keeps the one that is there", async () => {
  const route = { contentSecurityPolicy: { nonce: true } };
  const seen: unknown[] = [];
  const app = appWith([
    securityHeaders({ preset: "page" }),
    (_req, res, next) => {
      seen.push(res.locals.cspNonce);
      next();
    },
    securityHeaders(route),
    (_req, res, next) => {
      seen.push(res.locals.cspNonce);
      next();
    },
  ]);
  const { headers } = await get(app);
  expect(seen[0]).toBe(seen[1]);
  expect(headers[POLICY]).toContain(`'nonce-${seen[1]}'`);
  expect((await headersWith([{}, route]))[POLICY]).toContain("'nonce-");
});

it("is what Express's own pages are repaired with", async () => {
  const first = securityHeaders();
  const embedded = securityHeaders({
    contentSecurityPolicy: { directives: { frameAncestors: ["https://partner.example"], formAction: null } },
  });
  const express = (await import("express")).default;
  const app = express();
  app.use(first, embedded);
  const { headers } = await get(app as never);
  expect(headers[POLICY]).toBe(
    "default-src 'none'; frame-ancestors https://partner.example; base-uri 'self'",
  );
});

it("with override: false it leaves even what the first has set", async () => {
  const headers = await headersWith([
    {},
    { frameOptions: false, referrerPolicy: "no-referrer", override: false },
  ]);
  expect(headers).toMatchObject({
    "x-frame-options": "deny",
    "referrer-policy": "origin-when-cross-origin",
  });
});

it("the same handler twice is the same as once", async () => {
  const handler = securityHeaders({ preset: "api", frameOptions: "sameorigin" });
  const once = (await get(appWith([handler]))).headers as Record<string, string>;
  const twice = (await get(appWith([handler, handler]))).headers as Record<string, string>;
  expect(onlyOurs(twice)).toEqual(onlyOurs(once));
});
