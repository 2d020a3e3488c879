import express from "express";
import fc from "fast-check";
import type { CorsOptions } from "../../src/cors/index.js";
import { closeServers, listen } from "../support/server.js";
import { SOAK } from "../support/soak.js";
import { type Ask, fetchAsBrowser, needsPreflight, type Outcome, preflightPasses } from "./browser.js";
import { appOf } from "./support.js";

afterEach(closeServers);

const app = appOf(express);

const asked: fc.Arbitrary<Ask> = fc.record({
  origin: fc.constantFrom("https://a.com", "https://x.b.com", "https://evil.com", "null"),
  // "patch": browsers upper-case six methods, and PATCH is none of them.
  method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PURGE", "patch"),
  headers: fc
    .uniqueArray(fc.constantFrom("x-a", "x-b", "authorization", "content-type"), { maxLength: 3 })
    .map((list) => list.sort()),
  withCredentials: fc.boolean(),
});

const allowsA = (origin: string) => origin === "https://a.com";

const configured = fc.record({
  origin: fc.constantFrom<CorsOptions["origin"]>(
    "*",
    "https://a.com",
    ["https://a.com", "https://*.b.com"],
    /^https:\/\/a\.com$/,
    allowsA,
    async (origin: string) => allowsA(origin),
    false,
  ),
  methods: fc.constantFrom<string[] | string | undefined>(undefined, ["PUT"], "*", ["PURGE", "DELETE"]),
  allowedHeaders: fc.constantFrom<string[] | string | undefined>(undefined, ["X-A"], "*", [
    "authorization",
    "x-b",
  ]),
  credentials: fc.boolean(),
  allowNull: fc.boolean(),
});

/** Whether the configuration allows the request and lets the page read the response. */
function intended(
  { origin, methods, allowedHeaders, credentials, allowNull }: CorsOptions,
  ask: Ask,
): Outcome {
  const mayRead =
    origin === "*" ||
    (origin !== false && (ask.origin === "null" ? allowNull === true : allowsA(ask.origin))) ||
    (Array.isArray(origin) && ask.origin === "https://x.b.com");
  if (!mayRead || (ask.withCredentials && !credentials)) {
    return needsPreflight(ask) ? "refused at the preflight" : "refused at the answer";
  }
  const listed = methods ?? ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];
  const mayDo = ["GET", "HEAD", "POST"].includes(ask.method) || listed === "*" || listed.includes(ask.method);
  const names = allowedHeaders ?? "*";
  const maySend =
    names === "*" ||
    ask.headers.every((name) => (names as string[]).some((one) => one.toLowerCase() === name));
  if (!mayDo || !maySend) return "refused at the preflight";
  // Node's parser knows methods in upper case only: it answers 400 before any handler.
  return ask.method === "patch" ? "refused at the answer" : "shared";
}

it("a browser shares the answer if and only if the configuration allows it", async () => {
  const seen = new Set<Outcome>();
  await fc.assert(
    fc.asyncProperty(configured, fc.array(asked, { minLength: 3, maxLength: 5 }), async (options, asks) => {
      fc.pre(!(options.credentials && (options.origin === "*" || options.allowNull)));
      fc.pre(!(options.origin === false && options.allowNull));
      const server = await listen(app(options as CorsOptions));
      try {
        for (const ask of asks) {
          const outcome = await fetchAsBrowser(server, ask);
          seen.add(outcome);
          expect([ask, outcome]).toEqual([ask, intended(options as CorsOptions, ask)]);
        }
      } finally {
        await server.close();
      }
    }),
    { numRuns: SOAK ? 200 : 50 },
  );
  expect(seen.size).toBe(3);
});

describe("the browser of these tests", () => {
  const ask: Ask = { origin: "https://a.com", method: "PUT", headers: ["x-a"], withCredentials: false };
  const good = {
    "access-control-allow-origin": "https://a.com",
    "access-control-allow-credentials": "true",
    "access-control-allow-methods": "GET,PUT",
    "access-control-allow-headers": "X-A , x-b,,",
  };

  it.each<[string, Partial<Ask>, Record<string, string>, number, boolean]>([
    ["what names all", { withCredentials: true }, {}, 204, true],
    ["a 299", {}, {}, 299, true],
    ["a 302", {}, {}, 302, false],
    ["a 403", {}, {}, 403, false],
    ["no origin", {}, { "access-control-allow-origin": "" }, 200, false],
    ["two origins", {}, { "access-control-allow-origin": "https://a.com, https://a.com" }, 200, false],
    ["any origin", {}, { "access-control-allow-origin": "*" }, 200, true],
    [
      "any origin, asked with credentials",
      { withCredentials: true },
      { "access-control-allow-origin": "*" },
      200,
      false,
    ],
    ["True", { withCredentials: true }, { "access-control-allow-credentials": "True" }, 200, false],
    ["any method", {}, { "access-control-allow-methods": "*" }, 200, true],
    [
      "any method, asked with credentials",
      { withCredentials: true },
      { "access-control-allow-methods": "*" },
      200,
      false,
    ],
    [
      "a method in another case",
      { method: "patch" },
      { "access-control-allow-methods": "PATCH" },
      200,
      false,
    ],
    ["another method", {}, { "access-control-allow-methods": "DELETE" }, 200, false],
    ["GET unnamed", { method: "GET" }, { "access-control-allow-methods": "PUT" }, 200, true],
    ["a method that is no token beside it", {}, { "access-control-allow-methods": "PUT, a b" }, 200, false],
    ["a header that is no token beside it", {}, { "access-control-allow-headers": "x-a, (b)" }, 200, false],
    ["any header", {}, { "access-control-allow-headers": "*" }, 200, true],
    [
      "any header, for Authorization",
      { headers: ["authorization"] },
      { "access-control-allow-headers": "*" },
      200,
      false,
    ],
    [
      "any header and Authorization",
      { headers: ["authorization"] },
      { "access-control-allow-headers": "*, Authorization" },
      200,
      true,
    ],
    ["another header", {}, { "access-control-allow-headers": "x-b" }, 200, false],
  ])("takes %s for leave, or not", (_name, part, fields, status, passes) => {
    expect(preflightPasses({ ...ask, ...part }, status, { ...good, ...fields })).toBe(passes);
  });
});
