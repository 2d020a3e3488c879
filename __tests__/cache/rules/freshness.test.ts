import fc from "fast-check";
import { ageMs, freshForMs, isFresh, policyOf } from "../../../src/cache/rules/freshness.js";
import type { HeaderList } from "../../../src/lib/response/snapshot.js";

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
  expect([isFresh(made, NOW), isFresh(made, NOW + 9_999), isFresh(made, NOW + 10_000)]).toEqual([
    true,
    true,
    false,
  ]);
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
        expect(isFresh(made, NOW + later)).toBe(lifetime * 1000 > currentAge);
      },
    ),
  );
});
