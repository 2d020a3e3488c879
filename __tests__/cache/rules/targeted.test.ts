import fc from "fast-check";
import { directivesOf, parseDictionary, targetedDirectives } from "../../../src/cache/rules/targeted.js";
import type { HeaderList } from "../../../src/lib/response/snapshot.js";
import { cpuMs } from "../../support/cpu.js";

const text = (value: string, isString = false) => ({ text: value, isString });

describe("a dictionary", () => {
  it.each<[string, [string, unknown][]]>([
    ["", []],
    ["   ", []],
    ["max-age=60", [["max-age", text("60")]]],
    [
      "a, b",
      [
        ["a", true],
        ["b", true],
      ],
    ],
    [
      "a\t,\t b",
      [
        ["a", true],
        ["b", true],
      ],
    ],
    [
      "a=?0,b=?1",
      [
        ["a", false],
        ["b", true],
      ],
    ],
    [
      "a=-1, b=1.5, c=tok/en:*",
      [
        ["a", text("-1")],
        ["b", text("1.5")],
        ["c", text("tok/en:*")],
      ],
    ],
    [
      'a="x, y", b="\\"\\\\"',
      [
        ["a", text("x, y", true)],
        ["b", text('"\\', true)],
      ],
    ],
    [
      "a=:aGk=:, b=::",
      [
        ["a", undefined],
        ["b", undefined],
      ],
    ],
    [
      "a=(1 2), b=()",
      [
        ["a", undefined],
        ["b", undefined],
      ],
    ],
    ['a=( 1;x  "y" ;q)', null as never],
    ['a=( 1;x  "y";q=1.0 );z', [["a", undefined]]],
    [
      "a;x;y=1, b=2; z",
      [
        ["a", true],
        ["b", text("2")],
      ],
    ],
    [
      "a=1, b, a=2",
      [
        ["b", true],
        ["a", text("2")],
      ],
    ],
    ["*a.b_c-1", [["*a.b_c-1", true]]],
    ["a=999999999999999", [["a", text("999999999999999")]]],
  ])("%j", (value, expected) => {
    const parsed = parseDictionary(value);
    expect(parsed === undefined ? null : [...parsed]).toEqual(expected);
  });

  it.each([
    ["max-age=60,"],
    ["max-age=60,,public"],
    [",max-age=60"],
    ["Max-Age=60"],
    ["max-age = 60"],
    ["max-age= 60"],
    ["max-age =60"],
    ["max-age="],
    ["max-age=60 public"],
    ["max-age=1000000000000000"],
    ["a=1.2345"],
    ["a=1."],
    ["a=--1"],
    ["a=?2"],
    ["a=@1659578233"],
    ['a=%"x"'],
    ['a="x'],
    ['a="\\x"'],
    ['a="\xe9"'],
    ["a=:?:"],
    ["a=:aGk="],
    ["a=(1"],
    ["a=(1,2)"],
    ['a=("x""y")'],
    ["a;"],
    ["a;B"],
    ["a;b="],
    ["1a"],
    ["\ta"],
    ["a\xa0"],
  ])("%j is not a dictionary", (value) => {
    expect(parseDictionary(value)).toBeUndefined();
  });

  it("is read as it was written", () => {
    const key = fc.stringMatching(/^[a-z*][a-z0-9_\-.*]{0,6}$/);
    const member = fc.oneof(
      fc.boolean().map((flag) => [flag ? "" : "=?0", flag] as const),
      fc
        .integer({ min: -999999999999999, max: 999999999999999 })
        .map((n) => [`=${n}`, text(String(n))] as const),
      fc
        .stringMatching(/^[\x20-\x7e]{0,10}$/)
        .map((s) => [`="${s.replace(/["\\]/g, "\\$&")}"`, text(s, true)] as const),
    );
    const comma = fc.constantFrom(",", ", ", " ,\t");
    fc.assert(
      fc.property(fc.array(fc.tuple(key, member), { minLength: 1 }), comma, (list, separator) => {
        const value = list.map(([name, [written]]) => name + written).join(separator);
        const expected: Record<string, unknown> = {};
        for (const [name, [, meant]] of list) expected[name] = meant;
        expect(Object.fromEntries(parseDictionary(value)!)).toEqual(expected);
      }),
    );
  });

  it("is read in linear time, whatever it is", () => {
    const values = [
      "a,".repeat(200_000),
      `a=(${" ".repeat(500_000)}`,
      `a="${"\\\\".repeat(300_000)}`,
      "1".repeat(500_000),
    ];
    const start = cpuMs();
    for (const value of values) expect(parseDictionary(value)).toBeUndefined();
    expect(cpuMs() - start).toBeLessThan(2_000);
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'a1=;,()"\\?: .-*') }), (value) => {
        parseDictionary(value);
      }),
    );
  });
});

const CDN = ["cdn-cache-control"];

describe("targetedDirectives", () => {
  it.each<[string, string | readonly string[], number | undefined]>([
    ["an integer", "max-age=60", 60],
    ["an integer with parameters", "max-age=60;ext=1", 60],
    ["two lines", ["no-transform", "max-age=60"], 60],
    ["the last of two", "max-age=60, max-age=10", 10],
    ["more than a cache can count", "max-age=99999999999", 2 ** 31],
    ["a decimal", "max-age=60.0", undefined],
    ["a negative one", "max-age=-60", undefined],
    ["no number", "max-age", undefined],
    ["a string beside no-store", 'max-age="60", no-store', undefined],
  ])("max-age with %s", (_, value, expected) => {
    const directives = targetedDirectives([["CDN-Cache-Control", value]], CDN);
    expect(directives?.seconds("max-age")).toBe(expected);
    expect(directives?.has("max-age")).toBe(true);
  });

  it.each<[string, HeaderList]>([
    ["absent", []],
    ["empty", [["CDN-Cache-Control", ""]]],
    ["of blanks", [["CDN-Cache-Control", "  "]]],
    ["no dictionary", [["CDN-Cache-Control", "max-age=60,"]]],
    ["upper-case", [["CDN-Cache-Control", "NO-STORE"]]],
    ["in part no dictionary", [["CDN-Cache-Control", ["max-age=60", "No-Store"]]]],
    ["of the wrong type: a string", [["CDN-Cache-Control", 'max-age="60"']]],
    ["of the wrong type: a string with parameters", [["CDN-Cache-Control", 'public, max-age="60";a=1']]],
    ["of the wrong type: a token", [["CDN-Cache-Control", "s-maxage=a60, max-age=60"]]],
    ["of the wrong type: an inner list", [["CDN-Cache-Control", "max-age=(60)"]]],
    ["of the wrong type: bytes", [["CDN-Cache-Control", "max-age=:NjA=:"]]],
    ["of the wrong type: another lifetime", [["CDN-Cache-Control", 'max-age=60, stale-if-error="60"']]],
    [
      "of the wrong type: what is false forbids nothing",
      [["CDN-Cache-Control", 'no-store=?0, max-age="60"']],
    ],
    ["another field", [["Surrogate-Control", "max-age=60"]]],
  ])("ignores a field that is %s", (_, headers) => {
    expect(targetedDirectives(headers, CDN)).toBeUndefined();
    const both = directivesOf([...headers, ["Cache-Control", "max-age=5"]]);
    expect(both).toMatchObject({ targeted: false });
    expect(both.directives.seconds("max-age")).toBe(5);
  });

  it("takes the first target that can be read", () => {
    const headers: HeaderList = [
      ["CDN-Cache-Control", "max-age=1"],
      ["Own-Cache-Control", "max-age=2"],
    ];
    expect(targetedDirectives(headers, ["own-cache-control", "cdn-cache-control"])?.seconds("max-age")).toBe(
      2,
    );
    const broken: HeaderList = [...headers.slice(0, 1), ["Own-Cache-Control", "max-age = 2"]];
    expect(targetedDirectives(broken, ["own-cache-control", "cdn-cache-control"])?.seconds("max-age")).toBe(
      1,
    );
  });

  it("a member that is false is absent, and one of a wrong type is unreadable", () => {
    const directives = targetedDirectives(
      [["CDN-Cache-Control", "no-store=?0, private=a, no-cache=(a)"]],
      CDN,
    )!;
    expect(directives.has("no-store")).toBe(false);
    expect([directives.has("private"), directives.fields("private")]).toEqual([true, undefined]);
    expect([directives.has("no-cache"), directives.fields("no-cache")]).toEqual([true, undefined]);
  });

  it("ignores Cache-Control if there is a targeted field", () => {
    const { directives, targeted } = directivesOf([
      ["Cache-Control", "no-store, private, s-maxage=1"],
      ["CDN-Cache-Control", 'max-age=60, private="x-a"'],
    ]);
    expect(targeted).toBe(true);
    expect(directives.has("no-store") || directives.has("s-maxage")).toBe(false);
    expect(directives.fields("private")).toEqual(["x-a"]);
  });
});
