import fc from "fast-check";
import { bodyLimit } from "../../src/body-limit/index.js";
import { readSize } from "../../src/body-limit/size.js";
import { ConfigError, type Problem } from "../../src/lib/config/config-error.js";
import { casesOf } from "../support/soak.js";

/** What the package `bytes` is: another one of Express's dependencies, which reads as much of a text as it can. */
const bytes = require("bytes") as { parse(text: string): number | null };

function problemsOf(...given: unknown[]): readonly Problem[] {
  try {
    (bodyLimit as (...options: unknown[]) => unknown)(...given);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

it.each<[string, number]>([
  ["100", 100],
  ["100b", 100],
  ["100 B", 100],
  ["100kb", 102_400],
  ["1.5mb", 1_572_864],
  ["1.5 MB", 1_572_864],
  ["+2Kb", 2_048],
  ["0.1kb", 102],
  ["2gb", 2_147_483_648],
  ["1tb", 1_099_511_627_776],
  ["1pb", 1_125_899_906_842_624],
])("%j is %d bytes, as the package bytes reads it", (text, size) => {
  expect(readSize(text)).toBe(size);
  expect(bytes.parse(text)).toBe(size);
  expect(problemsOf(text)).toEqual([]);
});

it.each<[unknown, RegExp]>([
  ["10 parsecs", /positive integer of bytes/],
  ["", /positive integer/],
  ["1e6", /positive integer/],
  ["0x10", /positive integer/],
  ["1.5", /positive integer/],
  ["1.5b", /positive integer/],
  [" 5kb", /write "5kb"/],
  ["5k", /write "5kb"/],
  ["5 MiB", /write "5mb"/],
  ["10_000kb", /write "10000kb"/],
  ["-5kb", /positive integer/],
  ["0", /leave the middleware out/],
  ["0.0001kb", /leave the middleware out/],
  ["9999999pb", /positive integer/],
  [0, /leave the middleware out/],
  [-1, /positive integer/],
  [1.5, /write 1$/],
  [Number.NaN, /positive integer/],
  [Number.POSITIVE_INFINITY, /leave the middleware out/],
  [2 ** 53, /positive integer/],
  [null, /positive integer/],
  [false, /leave the middleware out/],
  [10n, /positive integer/],
  [["1kb"], /positive integer/],
])("the limit %p is a problem", (given, reason) => {
  for (const options of [given, { limit: given }])
    expect(problemsOf(options)).toEqual([
      expect.objectContaining({
        option: "limit",
        code: "ERR_PORTICO_INVALID_OPTION",
        reason: expect.stringMatching(reason),
      }),
    ]);
});

it("undefined may be a missing environment variable, and a limit is required", () => {
  for (const options of [undefined, { limit: undefined }])
    expect(problemsOf(options)).toMatchObject([{ option: "limit", code: "ERR_PORTICO_UNDEFINED_OPTION" }]);
  expect(problemsOf({ timeMs: 5 })).toMatchObject([{ option: "limit", code: "ERR_PORTICO_MISSING_OPTION" }]);
});

it("all problems come at once", () => {
  expect(problemsOf({ limit: 0, timeMs: 0, maxSize: 1, tymeMs: 1 })).toHaveLength(4);
});

it.each([
  0,
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 31,
  "5",
  null,
])("timeMs %p is a problem", (timeMs) => {
  expect(problemsOf({ limit: 1, timeMs })).toMatchObject([{ option: "timeMs" }]);
});

it("without the call it says so", () => {
  const request = { method: "GET", url: "/", headers: {}, on: () => {} };
  expect(problemsOf(request, {}, () => {})).toMatchObject([{ code: "ERR_PORTICO_NOT_CALLED" }]);
});

describe("texts", () => {
  const unit = fc.constantFrom("", "b", "kb", "mb", "gb", "tb", "pb", "k", "kib", "parsecs");
  const count = fc.oneof(
    fc.nat().map(String),
    fc.double({ min: 0, max: 1e6, noNaN: true }).map((value) => value.toFixed(3)),
  );
  const text = fc.oneof(
    fc
      .tuple(fc.constantFrom("", "+", "-"), count, fc.constantFrom("", " ", "  "), unit, fc.boolean())
      .map(
        ([sign, number, space, name, upper]) => sign + number + space + (upper ? name.toUpperCase() : name),
      ),
    fc.string(),
    fc.string({ unit: fc.constantFrom(..."0123456789.kKmMbB +-e_") }),
  );

  /** One character after the other: a sign, digits, perhaps a fraction, spaces, a unit. */
  function naive(given: string): number | undefined {
    const units = ["b", "kb", "mb", "gb", "tb", "pb"];
    const take = (from: number, isOne: (char: string) => boolean) => {
      let at = from;
      while (at < given.length && isOne(given[at]!)) at++;
      return at;
    };
    const isDigit = (char: string) => char >= "0" && char <= "9";
    const start = given[0] === "+" || given[0] === "-" ? 1 : 0;
    let end = take(start, isDigit);
    if (end === start) return undefined;
    let hasFraction = false;
    if (given[end] === "." && take(end + 1, isDigit) > end + 1) {
      hasFraction = true;
      end = take(end + 1, isDigit);
    }
    const rest = given.slice(take(end, (char) => char === " "));
    const name = rest === "" ? "b" : rest.toLowerCase();
    const power = units.indexOf(name);
    if (power === -1 || (power === 0 && hasFraction)) return undefined;
    return Math.floor(Number(given.slice(0, end)) * 1024 ** power);
  }

  it("are read as a naive reader does, and as the package bytes reads those that are whole", () => {
    fc.assert(
      fc.property(text, (given) => {
        const size = readSize(given);
        expect(size).toBe(naive(given));
        if (size !== undefined) expect(bytes.parse(given)).toBe(size);
      }),
      { numRuns: casesOf(3_000) },
    );
  });
});
