import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import { ifRangeHolds, notModified, rangeOf } from "../../../src/cache/rules/conditional.js";
import { type DirectiveName, MAX_SECONDS, parseDirectives } from "../../../src/cache/rules/directives.js";
import { parseHttpDate } from "../../../src/cache/rules/fields.js";
import type { HeaderList } from "../../../src/lib/response/snapshot.js";
import { cpuMs } from "../../support/cpu.js";

describe("directives", () => {
  const seconds = (value: string, name: DirectiveName = "max-age") => parseDirectives(value).seconds(name);

  describe("seconds", () => {
    it.each<[string, number | undefined]>([
      ["max-age=60", 60],
      ["MaX-aGe=60", 60],
      ["max-age=0", 0],
      ["max-age=003600", 3600],
      ['max-age="3600"', 3600],
      ["public, max-age=60", 60],
      [",, max-age=60 ,,", 60],
      ["\tmax-age=60\t,\tpublic", 60],
      ["max-age=2147483647", 2147483647],
      ["max-age=2147483649", MAX_SECONDS],
      ["max-age=99999999999", MAX_SECONDS],
      [`max-age=${"9".repeat(400)}`, MAX_SECONDS],
      ['extension="max-age=3600", max-age=1', 1],
      ['max-age=1, extension="max-age=3600"', 1],
      ['extension="a\\", max-age=3600", max-age=1', 1],
      ['max-age="6\\0"', 60],
      // conflicts: the smallest
      ["max-age=3600, max-age=1800", 1800],
      ["max-age=1, max-age=1800", 1],
      ["max-age=60, max-age=60", 60],
      ["max-age=60, max-age=x", undefined],
      // not a number of seconds
      ["max-age", undefined],
      ["max-age=", undefined],
      ['max-age=""', undefined],
      ["max-age='3600'", undefined],
      ["max-age=-3600", undefined],
      ["max-age=+3600", undefined],
      ["max-age=3600.0", undefined],
      ["max-age=60.5", undefined],
      ["max-age=1e3", undefined],
      ["max-age=0x10", undefined],
      ["max-age=a100", undefined],
      ["max-age=100a", undefined],
      ["max-age =3600", undefined],
      ["max-age= 3600", undefined],
      ["max-age=36 00", undefined],
      ["max-age=60; public", undefined],
      ["max-age==60", undefined],
      ["max-age=\u0661", undefined],
    ])("%j is %p", (value, expected) => {
      expect(seconds(value)).toBe(expected);
      expect(parseDirectives(value).has("max-age")).toBe(true);
    });

    it("is undefined for a directive that is not there", () => {
      expect(seconds("s-maxage=1, xmax-age=2, max-agex=3")).toBeUndefined();
      expect(parseDirectives("xmax-age=2").has("max-age")).toBe(false);
    });
  });

  describe("has", () => {
    it.each([
      ["no-store"],
      ["NO-STORE"],
      ["max-age=60,No-Store"],
      ["no-store "],
      ["no-store=1"],
      ['no-store="x"'],
      ["no-store; max-age=60"],
      ["no-store /"],
      ['a="b" c, no-store'],
      [";;;, no-store"],
      ["=, no-store"],
      // A string without an end may hide a restriction.
      ['a="b, max-age=60'],
      ['max-age=60"'],
      ['public, x="\\"'],
    ])("%j forbids storing", (value) => {
      expect(parseDirectives(value).has("no-store")).toBe(true);
    });

    it.each([
      ["no-stored"],
      ['x="no-store"'],
      ['x="a, no-store, b", public'],
      ['x="a\\", no-store"'],
      ["x=no-store"],
      [""],
      [undefined],
    ])("%j does not", (value) => {
      expect(parseDirectives(value).has("no-store")).toBe(false);
    });
  });

  describe("fields", () => {
    it.each<[string, readonly string[] | undefined]>([
      ['private="x-foo"', ["x-foo"]],
      ['PRIVATE="X-Foo , b,,"', ["x-foo", "b"]],
      ['private="a", private="b"', ["a", "b"]],
      ["private", undefined],
      ['private, private="a"', undefined],
      ['private="a", private', undefined],
      ["private=a", undefined],
      ["private=true", undefined],
      ['private=""', undefined],
      ['private=" , "', undefined],
      ['private="a b"', undefined],
      ['private ="a"', undefined],
      ['private="a"x', undefined],
      ["public", undefined],
    ])("of %j are %p", (value, expected) => {
      expect(parseDirectives(value).fields("private")).toEqual(expected);
    });
  });

  describe("isBare", () => {
    it.each<[string, boolean]>([
      ["max-stale", true],
      ["max-stale, max-stale", true],
      ["max-stale=1", false],
      ["max-stale, max-stale=1", false],
      ["max-stale=", false],
      ["public", false],
    ])("of %j is %p", (value, expected) => {
      expect(parseDirectives(value).isBare("max-stale")).toBe(expected);
    });
  });

  const NAMES: DirectiveName[] = ["max-age", "s-maxage", "no-cache", "private", "public", "must-revalidate"];

  const tokenChars = fc.constantFrom(..."abcXYZ019!#$%&'*+-.^_`|~");
  const token = fc.string({ unit: tokenChars, minLength: 1, maxLength: 8 });
  const quotedText = fc.string({ unit: fc.constantFrom(..."ab0 ,=\t;'/"), maxLength: 12 });
  const ows = fc.constantFrom("", " ", "\t", "  ");
  const anyCase = (name: string) =>
    fc
      .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
      .map((upper) => [...name].map((char, index) => (upper[index] ? char.toUpperCase() : char)).join(""));
  const directive = fc
    .record({
      name: fc.oneof(fc.constantFrom(...NAMES).chain(anyCase), token),
      argument: fc.oneof(
        fc.constant(undefined),
        fc.nat(5000).map(String),
        token,
        quotedText.map((text) => `"${text}"`),
      ),
      left: ows,
      right: ows,
    })
    .map((made) => ({
      ...made,
      text: `${made.left}${made.name}${made.argument === undefined ? "" : `=${made.argument}`}${made.right}`,
    }));

  it("reads what the grammar allows", () => {
    fc.assert(
      fc.property(fc.array(directive, { maxLength: 8 }), (list) => {
        const parsed = parseDirectives(list.map(({ text }) => text).join(","));
        for (const name of NAMES) {
          const mine = list.filter((made) => made.name.toLowerCase() === name);
          expect(parsed.has(name)).toBe(mine.length > 0);
          const numbers = mine.map(({ argument }) => (argument ?? "").replace(/^"(.*)"$/, "$1"));
          const expected =
            mine.length > 0 && numbers.every((text) => /^\d+$/.test(text))
              ? Math.min(...numbers.map(Number))
              : undefined;
          if (name.endsWith("age")) expect(parsed.seconds(name)).toBe(expected);
        }
        expect(parsed.has("no-store")).toBe(list.some((made) => made.name.toLowerCase() === "no-store"));
      }),
    );
  });

  it("finds a restriction in any text around it, and never throws", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'ab"\\,;= \t1\xa0\xff') }),
        fc.string(),
        (before, after) => {
          // An odd number of quotes leaves the string open.
          expect(parseDirectives(`${before.replace(/["\\]/g, "")},no-store,${after}`).has("no-store")).toBe(
            true,
          );
          expect(parseDirectives(`no-store,${before}`).has("no-store")).toBe(true);
          parseDirectives(before).fields("private");
        },
      ),
    );
  });

  it.each([
    ["commas", ",".repeat(1_000_000)],
    ["names", "a,".repeat(500_000)],
    ["one directive again and again", Array.from({ length: 100_000 }, (_, i) => `max-age=${i}`).join(",")],
    ["backslashes", `a="${"\\".repeat(1_000_000)}`],
    ["quotes", 'a="'.repeat(300_000)],
    ["spaces", `a${" ".repeat(1_000_000)}b`],
  ])("takes linear time for a value of many %s", (_, value) => {
    const start = cpuMs();
    parseDirectives(value).seconds("max-age");
    expect(cpuMs() - start).toBeLessThan(2_000); // quadratic time would be minutes
  });
});

describe("conditional requests", () => {
  const DATE = "Sat, 21 Nov 2026 12:00:00 GMT";
  const MODIFIED = "Sat, 21 Nov 2026 11:00:00 GMT";
  const EARLIER = "Sat, 21 Nov 2026 10:59:59 GMT";
  const BETWEEN = "Sat, 21 Nov 2026 11:30:00 GMT";

  describe("If-None-Match", () => {
    it.each<[string, string | undefined, boolean]>([
      ['"a"', '"a"', true],
      ['W/"a"', '"a"', true],
      ['"a"', 'W/"a"', true],
      ['W/"a"', 'W/"a"', true],
      ['"a", "b", "c"', '"a"', true],
      ['"a", "b", "c"', '"b"', true],
      ['"a","b",W/"c"', '"c"', true],
      [' ,"a",, "b"', '"b"', true],
      ['"a"', '"b"', false],
      ['"a"', '"A"', false],
      ['"a, b"', '"a, b"', true],
      ['"a, b"', '"a', false],
      ['"x,", "b"', '"b"', true],
      ['"x,"b""', '"b"', false],
      ["*", '"a"', true],
      [" * ", undefined, true],
      ['"*"', '"a"', false],
      ['"a", *', '"b"', false],
      ['"a"', undefined, false],
      ["", '"a"', false],
      ['""', '""', true],
      [",", '""', false],
      ["a", "a", true],
      ["a", '"a"', false],
      ['"abcdef\xfc"', '"abcdef\xfc"', true],
      ['w/"a"', '"a"', false],
    ])("%s against %s: %p", (tags, etag, expected) => {
      const entry: HeaderList = etag === undefined ? [] : [["ETag", etag]];
      expect(notModified({ "if-none-match": tags }, entry)).toBe(expected);
    });

    it("finds the tag at any place in the list, and no other tag", () => {
      const tag = fc
        .tuple(fc.constantFrom("", "W/"), fc.string({ unit: fc.constantFrom(..."ab,! *'"), maxLength: 3 }))
        .map(([weak, text]) => `${weak}"${text}"`);
      const strip = (text: string) => text.replace(/^W\//, "");
      fc.assert(
        fc.property(fc.array(tag), tag, fc.constantFrom(",", ", ", " ,\t"), (tags, etag, comma) => {
          expect(notModified({ "if-none-match": tags.join(comma) }, [["etag", etag]])).toBe(
            tags.some((text) => strip(text) === strip(etag)),
          );
        }),
      );
    });

    it.each([
      ["tags", '"a",'.repeat(250_000)],
      ["commas", ",".repeat(1_000_000)],
      ["open quotes", '",'.repeat(250_000) + '"'],
    ])("takes linear time for many %s", (_, tags) => {
      const start = cpuMs();
      notModified({ "if-none-match": tags }, [["ETag", '"x"']]);
      expect(cpuMs() - start).toBeLessThan(2_000);
    });
  });

  describe("If-Modified-Since", () => {
    it.each<[string, HeaderList, boolean]>([
      [
        MODIFIED,
        [
          ["Last-Modified", MODIFIED],
          ["Date", DATE],
        ],
        true,
      ],
      [
        BETWEEN,
        [
          ["Last-Modified", MODIFIED],
          ["Date", DATE],
        ],
        true,
      ],
      [
        EARLIER,
        [
          ["Last-Modified", MODIFIED],
          ["Date", DATE],
        ],
        false,
      ],
      ["Saturday, 21-Nov-26 11:00:00 GMT", [["Last-Modified", MODIFIED]], true],
      ["Sat Nov 21 11:00:00 2026", [["Last-Modified", MODIFIED]], true],
      [DATE, [["Date", DATE]], true],
      [BETWEEN, [["Date", DATE]], false],
      [MODIFIED, [], false],
      [MODIFIED, [["Last-Modified", "yesterday"]], false],
      ["tomorrow", [["Last-Modified", MODIFIED]], false],
      ["Sat, 21 Nov 2026 11:30:00 UTC", [["Last-Modified", MODIFIED]], false],
      ["", [["Last-Modified", MODIFIED]], false],
    ])("%s against %j: %p", (since, entry, expected) => {
      expect(notModified({ "if-modified-since": since }, entry)).toBe(expected);
    });
  });

  const ENTRY: HeaderList = [
    ["ETag", '"a"'],
    ["Last-Modified", MODIFIED],
    ["Date", DATE],
  ];

  it.each<[IncomingHttpHeaders, boolean]>([
    [{}, false],
    [{ "if-none-match": '"a"', "if-modified-since": EARLIER }, true],
    [{ "if-none-match": '"b"', "if-modified-since": BETWEEN }, false],
    [{ "if-none-match": "", "if-modified-since": BETWEEN }, false],
  ])("with If-None-Match the other conditions do not count: %j", (request, expected) => {
    expect(notModified(request, ENTRY)).toBe(expected);
  });

  it.each([
    [200, true],
    [203, true],
    [301, false],
    [404, false],
    [500, false],
  ])("a condition on %p", (status, expected) => {
    expect(notModified({ "if-none-match": '"a"' }, ENTRY, status)).toBe(expected);
    expect(notModified({ "if-modified-since": DATE }, ENTRY, status)).toBe(expected);
  });

  describe("ifRangeHolds", () => {
    it.each<[string | undefined, HeaderList, boolean]>([
      [undefined, [], true],
      ['"a"', ENTRY, true],
      [' "a" ', ENTRY, true],
      ['"b"', ENTRY, false],
      ['W/"a"', ENTRY, false],
      ['"a"', [["ETag", 'W/"a"']], false],
      ['W/"a"', [["ETag", 'W/"a"']], false],
      ['"a"', [], false],
      [MODIFIED, ENTRY, true],
      ["Saturday, 21-Nov-26 11:00:00 GMT", ENTRY, true],
      [BETWEEN, ENTRY, false],
      [EARLIER, ENTRY, false],
      // weak: it could have changed again within that second
      [
        DATE,
        [
          ["Last-Modified", DATE],
          ["Date", DATE],
        ],
        false,
      ],
      [MODIFIED, [["Last-Modified", MODIFIED]], false],
      [
        MODIFIED,
        [
          ["Last-Modified", MODIFIED],
          ["Date", "x"],
        ],
        false,
      ],
      ["x", ENTRY, false],
      ["", ENTRY, false],
    ])("%j of %j: %p", (field, entry, expected) => {
      expect(ifRangeHolds(field === undefined ? {} : { "if-range": field }, entry)).toBe(expected);
    });
  });

  describe("rangeOf", () => {
    it.each<[string | undefined, number, ReturnType<typeof rangeOf>]>([
      ["bytes=0-1", 11, { start: 0, end: 1 }],
      ["bytes=1-", 11, { start: 1, end: 10 }],
      ["bytes=-1", 11, { start: 10, end: 10 }],
      ["bytes=-11", 11, { start: 0, end: 10 }],
      ["bytes=-12", 11, { start: 0, end: 10 }],
      ["bytes=0-99", 11, { start: 0, end: 10 }],
      ["bytes=10-10", 11, { start: 10, end: 10 }],
      ["BYTES=0-0", 11, { start: 0, end: 0 }],
      ["bytes= 0-1 ", 11, { start: 0, end: 1 }],
      ["bytes=11-", 11, "unsatisfiable"],
      ["bytes=11-12", 11, "unsatisfiable"],
      ["bytes=-0", 11, "unsatisfiable"],
      ["bytes=99999999999999999999999-", 11, "unsatisfiable"],
      ["bytes=0-", 0, "unsatisfiable"],
      ["bytes=-1", 0, undefined],
      ["bytes=2-1", 11, undefined],
      ["bytes=12-11", 11, undefined],
      ["bytes=0-1,3-4", 11, undefined],
      ["bytes=0-1,", 11, undefined],
      ["bytes=", 11, undefined],
      ["bytes=-", 11, undefined],
      ["bytes=a-b", 11, undefined],
      ["bytes=0x1-2", 11, undefined],
      ["bytes=1.0-2", 11, undefined],
      ["bytes=--1", 11, undefined],
      ["bytes=0 - 1", 11, undefined],
      ["bytes 0-1", 11, undefined],
      ["items=0-1", 11, undefined],
      ["", 11, undefined],
      [undefined, 11, undefined],
    ])("%j of %p bytes", (header, size, expected) => {
      expect(rangeOf(header, size)).toEqual(expected);
    });

    it("returns the bytes that exist of those that were asked for", () => {
      const bytes = fc.uint8Array({ maxLength: 12 });
      const number = fc.option(fc.nat(15), { nil: undefined });
      fc.assert(
        fc.property(bytes, number, number, (body, first, last) => {
          fc.pre(first !== undefined || last !== undefined);
          const found = rangeOf(`bytes=${first ?? ""}-${last ?? ""}`, body.length);
          const wanted = [...body].filter((_, at) =>
            first === undefined ? at >= body.length - last! : at >= first && at <= (last ?? 99),
          );
          if (typeof found === "object") {
            expect([...body.subarray(found.start, found.end + 1)]).toEqual(wanted);
          } else {
            expect(wanted).toEqual([]);
          }
        }),
      );
    });
  });
});

describe("dates", () => {
  const NOW = Date.UTC(2026, 10, 21);

  it.each<[string, number]>([
    ["Sun, 06 Nov 1994 08:49:37 GMT", Date.UTC(1994, 10, 6, 8, 49, 37)],
    ["Sunday, 06-Nov-94 08:49:37 GMT", Date.UTC(1994, 10, 6, 8, 49, 37)],
    ["Sun Nov  6 08:49:37 1994", Date.UTC(1994, 10, 6, 8, 49, 37)],
    ["Wed Nov 16 08:49:37 1994", Date.UTC(1994, 10, 16, 8, 49, 37)],
    ["Thu, 29 Feb 2024 00:00:00 GMT", Date.UTC(2024, 1, 29)],
    ["Sat, 31 Dec 2016 23:59:60 GMT", Date.UTC(2017, 0, 1)],
    ["Fri, 31 Dec 9999 23:59:59 GMT", Date.UTC(9999, 11, 31, 23, 59, 59)],
    // The day of the week is not checked.
    ["Thu Aug  8 02:01:18 2050", Date.UTC(2050, 7, 8, 2, 1, 18)],
  ])("reads %j", (text, time) => {
    expect(parseHttpDate(text, NOW)).toBe(time);
  });

  it.each<[string, number, number]>([
    ["Thursday, 18-Aug-50 02:01:18 GMT", NOW, 2050],
    ["Saturday, 21-Nov-76 00:00:00 GMT", NOW, 2076],
    ["Saturday, 21-Nov-76 00:00:01 GMT", NOW, 1976],
    ["Monday, 01-Jan-77 00:00:00 GMT", NOW, 1977],
    ["Monday, 01-Jan-26 00:00:00 GMT", NOW, 2026],
    ["Monday, 01-Jan-00 00:00:00 GMT", NOW, 2000],
    ["Monday, 01-Jan-10 00:00:00 GMT", Date.UTC(2090, 0, 1), 2110],
    ["Monday, 01-Jan-99 00:00:00 GMT", Date.UTC(2000, 0, 1), 1999],
  ])("reads %j at %p as of the year %p", (text, now, year) => {
    expect(new Date(parseHttpDate(text, now)!).getUTCFullYear()).toBe(year);
  });

  it.each([
    [""],
    ["0"],
    ["-1"],
    ["foo"],
    ["1994-11-06T08:49:37Z"],
    ["784111777"],
    ["THU, 18 Aug 2050 02:01:18 GMT"],
    ["Thu, 18 AUG 2050 02:01:18 GMT"],
    ["Thu, 18 Aug 2050 02:01:18 gMT"],
    ["Thu, 18 Aug 2050 02:01:18 UTC"],
    ["Thu, 18 Aug 2050 02:01:18 +0000"],
    ["Thu, 18 Aug 2050 02:01:18"],
    ["Thu, 18 Aug 50 02:01:18 GMT"],
    ["Thu 18 Aug 2050 02:01:18 GMT"],
    ["Thu, 18  Aug  2050 02:01:18 GMT"],
    ["Thu, 18-Aug-2050 02:01:18 GMT"],
    ["Thu, 18 Aug 2050 02.01.18 GMT"],
    ["Thu, 18 Aug 2050 2:01:18 GMT"],
    ["Thu, 8 Aug 2050 02:01:18 GMT"],
    ["Thu, 18 Aug 2050 24:00:00 GMT"],
    ["Thu, 18 Aug 2050 02:60:18 GMT"],
    ["Thu, 18 Aug 2050 02:01:61 GMT"],
    ["Thu, 00 Aug 2050 02:01:18 GMT"],
    ["Thu, 32 Aug 2050 02:01:18 GMT"],
    ["Wed, 29 Feb 2023 00:00:00 GMT"],
    ["Thu Feb 29 00:00:00 2023"],
    ["Thursday, 31-Feb-50 02:01:18 GMT"],
    ["Thu Aug 08 02:01:18 2050 GMT"],
    ["Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:19 GMT"],
    [" Thu, 18 Aug 2050 02:01:18 GMT"],
    ["Thu, 18 Aug 2050 02:01:18 GMT\n"],
  ])("refuses %j", (text) => {
    expect(parseHttpDate(text, NOW)).toBeUndefined();
  });

  const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
  const instant = fc.date({ min: new Date("0000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
  const whole = (date: Date) => Math.floor(date.getTime() / 1000) * 1000;

  it("reads what toUTCString writes, in any year", () => {
    fc.assert(
      fc.property(instant, (date) => {
        expect(parseHttpDate(date.toUTCString(), NOW)).toBe(whole(date));
      }),
    );
  });

  it("reads the C format, in any year", () => {
    fc.assert(
      fc.property(instant, (date) => {
        const [day, dd, month, year, time] = date.toUTCString().replace(",", "").split(" ");
        expect(parseHttpDate(`${day} ${month} ${String(Number(dd)).padStart(2)} ${time} ${year}`, NOW)).toBe(
          whole(date),
        );
      }),
    );
  });

  it("reads a two-digit year as at most 50 years ahead, and less than 50 years ago", () => {
    const near = fc.date({ min: new Date("1900-01-01"), max: new Date("2200-01-01"), noInvalidDate: true });
    fc.assert(
      fc.property(near, near, (date, now) => {
        const [, dd, month, year, time] = date.toUTCString().split(" ");
        const text = `${DAYS[date.getUTCDay()]}, ${dd}-${month}-${year!.slice(2)} ${time} GMT`;
        const read = parseHttpDate(text, now.getTime());
        // 29 February may not exist in that year.
        fc.pre(read !== undefined);
        const limit = new Date(now);
        limit.setUTCFullYear(now.getUTCFullYear() + 50);
        expect(read).toBeLessThanOrEqual(limit.getTime());
        expect(new Date(read!).getUTCFullYear() % 100).toBe(Number(year) % 100);
        const next = new Date(read!);
        next.setUTCFullYear(next.getUTCFullYear() + 100);
        expect(next.getTime()).toBeGreaterThan(limit.getTime());
      }),
    );
  });

  it("refuses what is not a way to write a date", () => {
    const chars = fc.constantFrom(..."SunMoThAg 0123456789:,-GMTfebAUG");
    fc.assert(
      fc.property(instant, fc.nat(28), chars, (date, at, char) => {
        const text = date.toUTCString();
        const changed = text.slice(0, at) + char + text.slice(at + 1);
        fc.pre(!changed.includes(":60 ")); // a leap second is read as the next minute
        const read = parseHttpDate(changed, NOW);
        if (read !== undefined) expect(new Date(read).toUTCString().slice(4, -7)).toBe(changed.slice(4, -7));
      }),
    );
  });
});
