import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import { variantOf, varyFieldsOf } from "../../../src/cache/key.js";
import {
  ageMs,
  freshForMs,
  mayServeOnError,
  NO_DIRECTIVES,
  type Policy,
  policyOf,
  type Reuse,
  requestDirectivesOf,
  reuse,
} from "../../../src/cache/rules/freshness.js";
import type { HeaderList } from "../../../src/lib/response/snapshot.js";
import { cpuMs } from "../../support/cpu.js";
import { casesOf } from "../../support/soak.js";

describe("freshness", () => {
  const NOW = Date.UTC(2026, 10, 21, 12);
  const YEARS_68_MS = 2 ** 31 * 1000;

  /** A date this many seconds from now. */
  const at = (seconds: number) => new Date(NOW + seconds * 1000).toUTCString();
  const policy = (headers: HeaderList, delayMs = 0) =>
    policyOf({ headers, requestedAt: NOW - delayMs, respondedAt: NOW });

  describe("the lifetime", () => {
    it.each<[string, HeaderList, number]>([
      ["nothing", [], 0],
      [
        "a validator alone",
        [
          ["ETag", '"a"'],
          ["Last-Modified", at(-100_000)],
        ],
        0,
      ],
      ["public alone", [["Cache-Control", "public"]], 0],
      ["max-age", [["Cache-Control", "max-age=60"]], 60],
      ["max-age on its own line", [["Cache-Control", ["public", "MAX-AGE=60"]]], 60],
      [
        "max-age over Expires",
        [
          ["Cache-Control", "max-age=60"],
          ["Expires", at(-7200)],
        ],
        60,
      ],
      [
        "max-age=0 over Expires",
        [
          ["Cache-Control", "max-age=0"],
          ["Expires", at(3600)],
        ],
        0,
      ],
      [
        "an unreadable max-age over Expires",
        [
          ["Cache-Control", "max-age=x"],
          ["Expires", at(3600)],
        ],
        0,
      ],
      ["s-maxage over max-age", [["Cache-Control", "max-age=1, s-maxage=60"]], 60],
      ["s-maxage=0 over max-age", [["Cache-Control", "max-age=60, s-maxage=0"]], 0],
      [
        "s-maxage over a past Expires",
        [
          ["Expires", at(-10)],
          ["Cache-Control", "max-age=0, s-maxage=60"],
        ],
        60,
      ],
      ["an unreadable s-maxage over max-age", [["Cache-Control", "max-age=60, s-maxage=1.5"]], 0],
      ["Expires", [["Expires", at(60)]], 60],
      [
        "Expires and Date",
        [
          ["Expires", at(60)],
          ["Date", at(-10)],
        ],
        70,
      ],
      [
        "Expires and a later Date",
        [
          ["Expires", at(300)],
          ["Date", at(400)],
        ],
        0,
      ],
      [
        "Expires at its Date",
        [
          ["Expires", at(0)],
          ["Date", at(0)],
        ],
        0,
      ],
      [
        "Expires and a broken Date",
        [
          ["Expires", at(10)],
          ["Date", "foo"],
        ],
        10,
      ],
      [
        "Expires: 0",
        [
          ["Expires", "0"],
          ["Date", at(0)],
        ],
        0,
      ],
      ["Expires: 0, as a number", [["Expires", 0]], 0],
      [
        "Expires: -1",
        [
          ["Expires", "-1"],
          ["Date", at(-5)],
        ],
        0,
      ],
      ["two lines of Expires", [["Expires", [at(60), at(61)]]], 0],
      ["Expires in the year 9999", [["Expires", "Fri, 31 Dec 9999 23:59:59 GMT"]], 2 ** 31],
      ["more seconds than a cache can count", [["Cache-Control", "max-age=99999999999"]], 2 ** 31],
      [
        "a targeted field",
        [
          ["CDN-Cache-Control", "max-age=60"],
          ["Cache-Control", "no-store, max-age=5"],
        ],
        60,
      ],
      [
        "a targeted field without a lifetime",
        [
          ["CDN-Cache-Control", "public"],
          ["Expires", at(60)],
        ],
        0,
      ],
      [
        "a targeted field that is broken",
        [
          ["CDN-Cache-Control", "max-age=6 0"],
          ["Expires", at(60)],
        ],
        60,
      ],
    ])("of %s", (_, headers, seconds) => {
      expect(policy(headers).lifetimeMs).toBe(seconds * 1000);
    });
  });

  describe("the initial age", () => {
    it.each<[string, HeaderList, number, number]>([
      ["of a response without Date and Age", [], 0, 0],
      ["counts Age", [["Age", "50"]], 0, 50_000],
      ["counts Age as a number", [["Age", 50]], 0, 50_000],
      ["counts the delay of the response", [["Age", "50"]], 1_500, 51_500],
      ["counts the delay without Age", [], 1_500, 1_500],
      ["counts an old Date", [["Date", at(-7200)]], 0, 7_200_000],
      [
        "is the greater of the two",
        [
          ["Date", at(-30)],
          ["Age", "50"],
        ],
        1_000,
        51_000,
      ],
      ["does not count a Date to come", [["Date", at(60)]], 0, 0],
      ["does not count a broken Date", [["Date", "x"]], 0, 0],
      ["does not count a clock that was set back", [], -5_000, 0],
      ["of Age with space around", [["Age", " 50 "]], 0, 50_000],
      ["is bounded", [["Age", "999999999999999999999"]], 5_000, YEARS_68_MS],
      ["of Age: abc", [["Age", "abc"]], 0, 0],
      ["of a negative Age", [["Age", "-7200"]], 0, 0],
      ["of a fractional Age", [["Age", "7200.0"]], 0, 0],
      ["of an empty Age", [["Age", ""]], 0, 0],
      ["of Age: 0, 0", [["Age", "0, 0"]], 0, 0],
      ["of two lines of Age", [["Age", ["0", "0"]]], 0, 0],
      ["of Age: 0, 7200", [["Age", "0, 7200"]], 0, 0],
      ["of Age: 7200, 0", [["Age", "7200, 0"]], 0, 7_200_000],
      ["of two lines of Age, the first of which is old", [["Age", ["7200", "0"]]], 0, 7_200_000],
      ["of Age with an empty member before it", [["Age", " ,\t, 7200"]], 0, 7_200_000],
      ["of Age with an invalid first member", [["Age", "abc, 7200"]], 0, 0],
      ["of Age with a sign", [["Age", "+7200"]], 0, 0],
      ["of Age with a space inside", [["Age", "72 00"]], 0, 0],
      ["of Age with a parameter", [["Age", "1;foo=bar"]], 0, 0],
    ])("%s", (_, headers, delayMs, expected) => {
      expect(policy(headers, delayMs).initialAgeMs).toBe(expected);
    });

    it("leaves out the part of a second that Date cannot express", () => {
      const headers: HeaderList = [["Date", new Date(NOW).toUTCString()]];
      for (const late of [0, 1, 999]) {
        const made = policyOf({ headers, requestedAt: NOW + late, respondedAt: NOW + late });
        expect(made.initialAgeMs).toBe(0);
      }
      const made = policyOf({ headers, requestedAt: NOW + 1000, respondedAt: NOW + 1000 });
      expect(made.initialAgeMs).toBe(1000);
    });
  });

  it("is fresh until its lifetime is over, counted from the origin's Age", () => {
    const made = policy([
      ["Cache-Control", "max-age=60"],
      ["Age", "50"],
    ]);
    expect([0, 9_999, 10_000].map((later) => freshForMs(made, NOW + later))).toEqual([10_000, 1, 0]);
    expect([ageMs(made, NOW + 2_500), freshForMs(made, NOW + 2_500)]).toEqual([52_500, 7_500]);
    expect(freshForMs(made, NOW + 12_000)).toBe(-2_000);
  });

  it("does not grow younger when the clock is set back", () => {
    const made = policy([
      ["Cache-Control", "max-age=60"],
      ["Age", "50"],
    ]);
    expect(ageMs(made, NOW - 3_600_000)).toBe(50_000);
  });

  describe("the flags", () => {
    const NONE = { noCache: false, mustRevalidate: false, shared: false };
    it.each<[string, Partial<typeof NONE>]>([
      ["max-age=60", {}],
      ["no-cache", { noCache: true }],
      ["NO-CACHE", { noCache: true }],
      ["no-cache=1", { noCache: true }],
      ['no-cache="x-a"', {}],
      ['no-cache, no-cache="x-a"', { noCache: true }],
      ["must-revalidate", { mustRevalidate: true, shared: true }],
      ["must-revalidate=1", { mustRevalidate: true }],
      ["proxy-revalidate", { mustRevalidate: true }],
      ["s-maxage=60", { mustRevalidate: true, shared: true }],
      ["s-maxage=x", { mustRevalidate: true }],
      ["public", { shared: true }],
      ["public=no", {}],
    ])("of %j", (value, expected) => {
      expect(policy([["Cache-Control", value]])).toMatchObject({ ...NONE, ...expected });
    });

    it("reads windows and validators from the headers", () => {
      expect(
        policy([
          ["Cache-Control", "stale-while-revalidate=10, stale-if-error=20"],
          ["etag", ' W/"a" '],
          ["LAST-MODIFIED", at(0)],
        ]),
      ).toMatchObject({
        staleWhileRevalidateMs: 10_000,
        staleIfErrorMs: 20_000,
        etag: 'W/"a"',
        lastModified: at(0),
      });
      expect(policy([["Cache-Control", "stale-while-revalidate, stale-if-error=x"]])).toMatchObject({
        staleWhileRevalidateMs: 0,
        staleIfErrorMs: 0,
        etag: undefined,
        lastModified: undefined,
      });
    });
  });

  it("agrees with the formulas of RFC 9111 sections 4.2.1 and 4.2.3", () => {
    const seconds = fc.option(fc.integer({ min: 0, max: 5_000 }), { nil: undefined });
    const offset = fc.option(fc.integer({ min: -5_000, max: 5_000 }), { nil: undefined });
    fc.assert(
      fc.property(
        fc.record({ maxAge: seconds, sMaxage: seconds, expires: offset, date: offset, age: seconds }),
        fc.nat(5_000),
        fc.nat(10_000_000),
        ({ maxAge, sMaxage, expires, date, age }, delayMs, later) => {
          const directives = [
            maxAge === undefined ? "" : `max-age=${maxAge}`,
            sMaxage === undefined ? "" : `s-maxage=${sMaxage}`,
          ];
          const headers: [string, string][] = [["Cache-Control", directives.join(",")]];
          if (expires !== undefined) headers.push(["Expires", at(expires)]);
          if (date !== undefined) headers.push(["Date", at(date)]);
          if (age !== undefined) headers.push(["Age", String(age)]);
          const made = policy(headers, delayMs);

          const lifetime =
            sMaxage ?? maxAge ?? (expires === undefined ? 0 : Math.max(0, expires - (date ?? 0)));
          const apparentAge = Math.max(0, -(date ?? 0)) * 1000;
          const correctedAge = (age ?? 0) * 1000 + delayMs;
          const currentAge = Math.max(apparentAge, correctedAge) + later;
          expect(made.lifetimeMs).toBe(lifetime * 1000);
          expect(ageMs(made, NOW + later)).toBe(currentAge);
          expect(freshForMs(made, NOW + later) > 0).toBe(lifetime * 1000 > currentAge);
        },
      ),
    );
  });
});

describe("reuse", () => {
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
        { numRuns: casesOf(2_000) },
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
});

describe("Vary", () => {
  describe("varyFieldsOf", () => {
    it.each<[HeaderList, string]>([
      [[], ""],
      [[["Vary", ""]], ""],
      [[["Vary", " , "]], ""],
      [[["Vary", "Accept-Language"]], "accept-language"],
      [[["vary", "Foo, bar,FOO"]], "bar,foo"],
      [[["Vary", ["B", "a, c"]]], "a,b,c"],
      [[["Vary", "*"]], "*"],
      [[["Vary", "*, Foo"]], "*"],
      [[["Vary", ["", "*"]]], "*"],
      [[["Vary", "Foo Bar"]], "*"],
      [[["Vary", "Foo;Bar"]], "*"],
      [[["Vary", Array.from({ length: 65 }, (_, i) => `f${i}`).join()]], "*"],
      [[["Access-Control-Allow-Origin", "*"]], ""],
      [[["Access-Control-Allow-Origin", "https://a.example"]], "origin"],
      [
        [
          ["Access-Control-Allow-Origin", "null"],
          ["Vary", "Accept"],
        ],
        "accept,origin",
      ],
      [
        [
          ["Access-Control-Allow-Origin", "https://a.example"],
          ["Vary", "ORIGIN"],
        ],
        "origin",
      ],
      [
        [
          ["Access-Control-Allow-Origin", "https://a.example"],
          ["Vary", "*"],
        ],
        "*",
      ],
    ])("of %j are %j", (headers, expected) => {
      expect(varyFieldsOf(headers)).toBe(expected);
    });
  });

  const isSame = (fields: string, a: IncomingHttpHeaders, b: IncomingHttpHeaders) =>
    variantOf(a, fields) === variantOf(b, fields);

  describe("variantOf", () => {
    it("is empty without fields", () => {
      expect(variantOf({ foo: "1" }, "")).toBe("");
    });

    it.each<[string, string, IncomingHttpHeaders, IncomingHttpHeaders]>([
      ["other fields", "foo", { foo: "1", other: "2" }, { foo: "1", other: "3" }],
      ["both absent", "bar,foo", { foo: "1" }, { foo: "1" }],
      ["space after a comma", "foo", { foo: "1, 2" }, { foo: "1,2" }],
      ["space before a comma", "foo", { foo: "1 \t, 2" }, { foo: "1,2" }],
      [
        "an encoding's case",
        "accept-encoding",
        { "accept-encoding": "GZIP, br" },
        { "accept-encoding": "gzip,BR" },
      ],
      [
        "a language's case",
        "accept-language",
        { "accept-language": "en, de" },
        { "accept-language": "eN, De" },
      ],
    ])("is equal for %s", (_, fields, a, b) => {
      expect(isSame(fields, a, b)).toBe(true);
    });

    it.each<[string, string, IncomingHttpHeaders, IncomingHttpHeaders]>([
      ["values", "foo", { foo: "1" }, { foo: "2" }],
      ["cases", "foo", { foo: "a" }, { foo: "A" }],
      ["absent and empty", "foo", {}, { foo: "" }],
      ["absent and a dash", "foo", {}, { foo: "-" }],
      ["one value and two", "foo", { foo: "1" }, { foo: "1,2" }],
      ["orders", "accept-language", { "accept-language": "en,de" }, { "accept-language": "de,en" }],
      ["where a value stands", "bar,foo", { bar: "1" }, { foo: "1" }],
      ["where one ends", "bar,foo", { bar: "ab", foo: "c" }, { bar: "a", foo: "bc" }],
      ["a value that looks like two", "bar,foo", { bar: "1", foo: "2" }, { bar: "11:2" }],
      ["space in strings", "foo", { foo: '"a, b"' }, { foo: '"a,b"' }],
      ["space in comments", "foo", { foo: "x (a, b)" }, { foo: "x (a,b)" }],
      ["space where commas separate nothing", "cookie", { cookie: "a=1, 2" }, { cookie: "a=1,2" }],
      ["other space", "foo", { foo: "1,\xa02" }, { foo: "1,2" }],
    ])("differs for %s", (_, fields, a, b) => {
      expect(isSame(fields, a, b)).toBe(false);
    });

    it("ignores names that every object has", () => {
      const fields = "__proto__,constructor,tostring";
      expect(variantOf({}, fields)).toBe("---");
      expect(isSame("constructor", {}, { constructor: "x" } as never)).toBe(false);
    });

    it("reads a list of lines as one line", () => {
      expect(isSame("foo", { foo: ["1", "2"] } as never, { foo: "1, 2" })).toBe(true);
    });

    it("is equal for two requests only if each field is", () => {
      const value = fc.option(fc.string({ unit: fc.constantFrom(..."-:,1 2\ta"), maxLength: 5 }), {
        nil: undefined,
      });
      const request = fc.record({ a: value, b: value, c: value });
      const plain = ({ a, b, c }: IncomingHttpHeaders) =>
        JSON.stringify([a, b, c].map((text) => String(text ?? "absent").replace(/[ \t]*,[ \t]*/g, ",")));
      // Node trims the whole value.
      const trimmed = (text: string) => text.replace(/^[ \t]+|[ \t]+$/g, "");
      const arrived = (made: Record<string, string | undefined>) =>
        Object.fromEntries(Object.entries(made).map(([name, text]) => [name, text && trimmed(text)]));
      fc.assert(
        fc.property(request, request, (one, other) => {
          const [a, b] = [arrived(one), arrived(other)];
          expect(isSame("a,b,c", a, b)).toBe(plain(a) === plain(b));
        }),
        { numRuns: casesOf(2_000) },
      );
    });

    it("takes linear time for a value of many spaces", () => {
      const start = cpuMs();
      variantOf({ foo: `${" ".repeat(1_000_000)}x,${" ,".repeat(100_000)}` }, "foo");
      expect(cpuMs() - start).toBeLessThan(2_000);
    });
  });
});
