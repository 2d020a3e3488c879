import fc from "fast-check";
import { type DirectiveName, MAX_SECONDS, parseDirectives } from "../../../src/cache/rules/directives.js";
import { cpuMs } from "../../support/cpu.js";

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
