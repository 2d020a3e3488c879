import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import { ifRangeHolds, notModified, rangeOf } from "../../../src/cache/rules/conditional.js";
import type { HeaderList } from "../../../src/lib/response/snapshot.js";
import { cpuMs } from "../../support/cpu.js";

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
