import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import {
  mayServeOnError,
  NO_DIRECTIVES,
  type Policy,
  policyOf,
  type Reuse,
  requestDirectivesOf,
  reuse,
} from "../../../src/cache/rules/freshness.js";

describe("requestDirectivesOf", () => {
  it.each<[IncomingHttpHeaders, object]>([
    [{}, {}],
    [{ "cache-control": "" }, {}],
    [{ "cache-control": "No-Cache" }, { noCache: true }],
    [{ "cache-control": "no-cache=x" }, { noCache: true }],
    [{ "cache-control": "no-store" }, { noStore: true }],
    [{ "cache-control": "only-if-cached" }, { onlyIfCached: true }],
    [{ "cache-control": "max-age=0" }, { maxAgeMs: 0 }],
    [
      { "cache-control": "max-age=60, min-fresh=5, max-stale=7" },
      { maxAgeMs: 60_000, minFreshMs: 5_000, maxStaleMs: 7_000 },
    ],
    [{ "cache-control": "max-age" }, { maxAgeMs: 0 }],
    [{ "cache-control": "max-age=1.5" }, { maxAgeMs: 0 }],
    [{ "cache-control": "max-stale" }, { maxStaleMs: Number.POSITIVE_INFINITY }],
    [{ "cache-control": "max-stale=x" }, {}],
    [{ "cache-control": "max-stale=" }, {}],
    [{ "cache-control": "max-stale, max-stale=5" }, {}],
    [{ "cache-control": "min-fresh=x" }, {}],
    [{ pragma: "no-cache" }, { noCache: true }],
    [{ pragma: "x, No-Cache" }, { noCache: true }],
    [{ pragma: "unrecognised" }, {}],
    [{ pragma: "no-cache", "cache-control": "max-age=60" }, { maxAgeMs: 60_000 }],
  ])("of %j is %j", (headers, expected) => {
    expect(requestDirectivesOf(headers)).toEqual({ ...NO_DIRECTIVES, ...expected });
  });

  it("returns one shared object for a request without directives", () => {
    expect(requestDirectivesOf({ accept: "*/*" })).toBe(NO_DIRECTIVES);
  });
});

const NOW = Date.UTC(2026, 10, 21, 12);
const made = (cacheControl: string): Policy =>
  policyOf({ headers: [["Cache-Control", cacheControl]], requestedAt: NOW, respondedAt: NOW });
const decide = (cacheControl: string, requested: string, ageSeconds: number): Reuse =>
  reuse(
    made(cacheControl),
    requested === "" ? undefined : requestDirectivesOf({ "cache-control": requested }),
    NOW + ageSeconds * 1000,
  );

describe("reuse", () => {
  it.each<[string, string, number, Reuse]>([
    ["max-age=60", "", 0, "fresh"],
    ["max-age=60", "", 59.999, "fresh"],
    ["max-age=60", "", 60, "stale"],
    ["max-age=0", "", 0, "stale"],
    // must-revalidate says nothing about what is fresh
    ["max-age=60, must-revalidate", "", 59, "fresh"],
    ["max-age=60, must-revalidate", "", 60, "stale"],
    ["max-age=60, no-cache", "", 0, "validate"],
    ["max-age=60, no-cache", "", 61, "validate"],
    ["no-cache", "max-stale", 0, "validate"],
    // while it is refreshed
    ["max-age=60, stale-while-revalidate=30", "", 59, "fresh"],
    ["max-age=60, stale-while-revalidate=30", "", 60, "stale-while-revalidate"],
    ["max-age=60, stale-while-revalidate=30", "", 89.999, "stale-while-revalidate"],
    ["max-age=60, stale-while-revalidate=30", "", 90, "stale"],
    ["max-age=60, stale-while-revalidate=30, must-revalidate", "", 60, "stale"],
    ["max-age=60, stale-while-revalidate=30, proxy-revalidate", "", 60, "stale"],
    ["s-maxage=60, stale-while-revalidate=30", "", 60, "stale"],
    ["max-age=60, stale-if-error=30", "", 60, "stale"],
    // request directives
    ["max-age=60", "no-cache", 0, "validate"],
    ["max-age=60", "no-cache", 60, "stale"],
    ["max-age=60, stale-while-revalidate=30", "no-cache", 60, "stale"],
    ["max-age=60", "max-age=0", 0, "validate"],
    ["max-age=60", "max-age=5", 5, "fresh"],
    ["max-age=60", "max-age=5", 5.001, "validate"],
    ["max-age=60", "max-age=600", 60, "stale"],
    ["max-age=60, stale-while-revalidate=30", "max-age=600", 60, "stale-while-revalidate"],
    ["max-age=60, stale-while-revalidate=30", "max-age=5", 60, "stale"],
    ["max-age=60", "min-fresh=10", 50, "fresh"],
    ["max-age=60", "min-fresh=10", 50.001, "validate"],
    ["max-age=60, stale-while-revalidate=30", "min-fresh=0", 61, "stale"],
    ["max-age=60", "max-stale=10", 70, "fresh"],
    ["max-age=60", "max-stale=10", 70.001, "stale"],
    ["max-age=60", "max-stale", 1e9, "fresh"],
    ["max-age=60", "max-stale, max-age=61", 62, "stale"],
    ["max-age=60, stale-while-revalidate=30", "max-stale=100", 61, "stale-while-revalidate"],
    ["max-age=60, stale-while-revalidate=30", "max-stale=100", 91, "fresh"],
    ["max-age=60, must-revalidate", "max-stale", 61, "stale"],
    ["max-age=60, proxy-revalidate", "max-stale", 61, "stale"],
    ["s-maxage=60", "max-stale", 61, "stale"],
    ["max-age=60", "no-store", 0, "fresh"],
    ["max-age=60", "only-if-cached", 61, "stale"],
  ])("of %j for %j after %p s is %j", (cacheControl, requested, age, expected) => {
    expect(decide(cacheControl, requested, age)).toBe(expected);
  });

  const directives = fc.subarray([
    "max-age=20",
    "stale-while-revalidate=10",
    "stale-if-error=10",
    "must-revalidate",
    "proxy-revalidate",
    "s-maxage=15",
    "no-cache",
  ]);
  const requests = fc.subarray([
    "no-cache",
    "max-age=10",
    "max-age=0",
    "min-fresh=5",
    "max-stale=20",
    "max-stale",
  ]);
  const age = fc.integer({ min: 0, max: 60 });

  it("never allows a stale response that the response itself forbids", () => {
    fc.assert(
      fc.property(directives, requests, age, (said, requested, seconds) => {
        const lifetime = said.includes("s-maxage=15") ? 15 : said.includes("max-age=20") ? 20 : 0;
        const verdict = decide(said.join(), requested.join(), seconds);
        const strict = said.some((word) => /revalidate$|^s-maxage|^no-cache/.test(word));
        if (strict && seconds >= lifetime) expect(["stale", "validate"]).toContain(verdict);
        if (said.includes("no-cache")) expect(verdict).toBe("validate");
        if (requested.includes("no-cache") || requested.includes("max-age=0")) {
          expect(["stale", "validate"]).toContain(verdict);
        }
        if (verdict === "stale-while-revalidate") expect(said).toContain("stale-while-revalidate=10");
        if (mayServeOnError(made(said.join()), NOW + seconds * 1000)) {
          expect(strict).toBe(false);
          expect(seconds).toBeLessThanOrEqual(lifetime + 10);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("is the same with no request directives and without them", () => {
    fc.assert(
      fc.property(directives, age, (said, seconds) => {
        const policy = made(said.join());
        expect(reuse(policy, NO_DIRECTIVES, NOW + seconds * 1000)).toBe(
          reuse(policy, undefined, NOW + seconds * 1000),
        );
      }),
    );
  });
});

describe("mayServeOnError", () => {
  it.each<[string, number, boolean]>([
    ["max-age=60", 61, false],
    ["max-age=60, stale-if-error=30", 60, true],
    ["max-age=60, stale-if-error=30", 90, true],
    ["max-age=60, stale-if-error=30", 90.001, false],
    ["max-age=60, stale-if-error=30", 10, true],
    ["max-age=60, stale-if-error=0", 61, false],
    ["max-age=60, stale-while-revalidate=30", 61, false],
    ["max-age=60, stale-if-error=30, must-revalidate", 61, false],
    ["max-age=60, stale-if-error=30, proxy-revalidate", 61, false],
    ["max-age=60, stale-if-error=30, no-cache", 61, false],
    ["s-maxage=60, stale-if-error=30", 61, false],
  ])("with %j after %p s is %p", (cacheControl, seconds, expected) => {
    expect(mayServeOnError(made(cacheControl), NOW + seconds * 1000)).toBe(expected);
  });
});
