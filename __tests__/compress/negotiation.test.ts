import fc from "fast-check";
import Negotiator from "negotiator";
import { chooser, preferredEncoding, weightsOf } from "../../src/compress/negotiate.js";
import { cpuMs } from "../support/cpu.js";

const OFFERED = ["zstd", "br", "gzip", "deflate"] as const;

const weight = fc.constantFrom(
  "",
  ";q=0",
  ";q=0.0",
  ";q=0.001",
  ";q=0.5",
  "; q=0.8",
  ";Q=1",
  ";q=1.000",
  ";a=b;q=0.3",
);
const element = fc
  .tuple(
    fc.constantFrom("zstd", "br", "gzip", "x-gzip", "GZip", "deflate", "identity", "*", "pack200-gzip", ""),
    weight,
  )
  .map(([coding, q]) => (coding === "" ? "" : coding + q));
const header = fc
  .tuple(fc.array(element, { maxLength: 7 }), fc.constantFrom(",", ", ", " ,\t"))
  .map(([list, comma]) => list.join(comma));

/** RFC 9110 section 12.5.3, word by word, for well-formed values. */
function oracle(value: string): string | undefined {
  const listed = value
    .split(",")
    .map((one) => one.trim().toLowerCase())
    .filter((one) => one !== "")
    .map((one) => {
      const [name = "", ...rest] = one.split(";").map((part) => part.trim());
      const q = rest.find((part) => part.startsWith("q="));
      return { name: name === "x-gzip" ? "gzip" : name, q: q === undefined ? 1 : Number(q.slice(2)) };
    });
  const qOf = (name: string): number | undefined => {
    const own = listed.filter((one) => one.name === name);
    return own.length === 0 ? undefined : Math.max(...own.map(({ q }) => q));
  };
  const candidates = OFFERED.map((name, rank) => ({ name, rank, q: qOf(name) ?? qOf("*") ?? 0 }))
    .filter(({ q }) => q > 0 && q >= (qOf("identity") ?? 0))
    .sort((a, b) => b.q - a.q || a.rank - b.rank);
  return candidates[0]?.name;
}

it("chooses as the RFC requires", () => {
  fc.assert(
    fc.property(header, (value) => {
      expect(preferredEncoding(value, OFFERED)).toBe(oracle(value));
    }),
    { numRuns: 2_000 },
  );
});

it("never chooses what the negotiator package would not allow, and always something if that does", () => {
  fc.assert(
    fc.property(header, (value) => {
      const simple = value.replace(/x-gzip/gi, "gzip");
      const allowed = new Negotiator({ headers: { "accept-encoding": simple } }).encodings([
        ...OFFERED,
        "identity",
      ]);
      const chosen = preferredEncoding(simple, OFFERED);
      if (chosen !== undefined) expect(allowed).toContain(chosen);
      else if (!/identity/i.test(simple)) expect(allowed.filter((name) => name !== "identity")).toEqual([]);
    }),
    { numRuns: 1_000 },
  );
});

it("accepts any value, and its memory does not change the choice", () => {
  const choose = chooser(OFFERED);
  fc.assert(
    fc.property(
      fc.oneof(header, fc.string(), fc.string({ unit: fc.constantFrom(..."gzip;q=0.1, *\t") })),
      (value) => {
        const expected = value === "" ? undefined : preferredEncoding(value, OFFERED);
        expect(choose(value)).toBe(expected);
        expect(choose(value)).toBe(expected);
      },
    ),
    { numRuns: 1_000 },
  );
  expect(choose(undefined)).toBeUndefined();
});

it.each([
  "banana",
  "",
  "1.1",
  "-1",
  "0.5x",
  "+1",
  "1e-1",
  "0x1",
  "Infinity",
  "١",
])("the weight %j is invalid: its element is ignored", (q) => {
  expect([...weightsOf(`gzip;q=${q}, br;q=0.5`)]).toEqual([["br", 0.5]]);
});

it.each([
  `${"gzip;q=0,".repeat(220)}br`,
  `${" ".repeat(2_000)}br`,
  `${";".repeat(2_000)},br`,
  `br;${"q".repeat(2_000)}`,
])("takes less than a millisecond for %#", (value) => {
  const started = cpuMs();
  for (let i = 0; i < 100; i++) preferredEncoding(value, OFFERED);
  expect(preferredEncoding(value, OFFERED)).toBe("br");
  expect((cpuMs() - started) / 100).toBeLessThan(1);
});

it("does not read an over-long value", () => {
  expect(preferredEncoding(`${"a,".repeat(1_100)}gzip`, OFFERED)).toBeUndefined();
});
