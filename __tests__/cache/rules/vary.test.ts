import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import { variantOf, varyFieldsOf } from "../../../src/cache/key.js";
import type { HeaderList } from "../../../src/lib/response/snapshot.js";
import { cpuMs } from "../../support/cpu.js";

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
      { numRuns: 2_000 },
    );
  });

  it("takes linear time for a value of many spaces", () => {
    const start = cpuMs();
    variantOf({ foo: `${" ".repeat(1_000_000)}x,${" ,".repeat(100_000)}` }, "foo");
    expect(cpuMs() - start).toBeLessThan(2_000);
  });
});
