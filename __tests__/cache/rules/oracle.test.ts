// Compares the header parsers with naive and slow ones that are written from the standards alone.
import fc from "fast-check";
import Negotiator from "negotiator";
import { acceptsEncoding, rangeOf } from "../../../src/cache/rules/conditional.js";
import { parseDirectives } from "../../../src/cache/rules/directives.js";
import { ageMs, policyOf } from "../../../src/cache/rules/freshness.js";
import { directivesOf } from "../../../src/cache/rules/targeted.js";

const runs = { numRuns: 2_000 };

/** Texts that are often nearly right. */
function near(...parts: string[]): fc.Arbitrary<string> {
  const piece = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...parts) }, fc.string({ maxLength: 3 }));
  return fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(""));
}

test("Age is the first member, in seconds, if it has only digits", () => {
  const lines = fc.array(near("0", "7200", "60", ",", " ", "\t", "-", ".", "abc", ";a=1"), { maxLength: 3 });
  fc.assert(
    fc.property(lines, (values) => {
      const members = values
        .join(", ")
        .split(",")
        .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""))
        .filter((member) => member !== "");
      const first = members[0] ?? "";
      const seconds = /^\d+$/.test(first) ? Math.min(Number(first), 2 ** 31) : 0;
      const made = policyOf({ headers: [["Age", values]], requestedAt: 0, respondedAt: 0 });
      expect(ageMs(made, 0)).toBe(seconds * 1_000);
    }),
    runs,
  );
});

/** Reads character by character: [name, argument, is it a string] of each directive; null if a string has no end. */
function naiveDirectives(value: string): [string, string | true, boolean][] | null {
  const parts: string[] = [];
  let part = "";
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    const char = value[i]!;
    if (quoted && char === "\\") {
      part += char + (value[++i] ?? "");
      continue;
    }
    if (char === '"') quoted = !quoted;
    if (char === "," && !quoted) {
      parts.push(part);
      part = "";
    } else part += char;
  }
  if (quoted) return null;
  parts.push(part);
  const found: [string, string | true, boolean][] = [];
  for (const one of parts) {
    const plain = /^[ \t]*([!#$%&'*+\-.^_`|~\w]+)(?:=([!#$%&'*+\-.^_`|~\w]+))?[ \t]*$/.exec(one);
    const string = /^[ \t]*([!#$%&'*+\-.^_`|~\w]+)="((?:[^"\\]|\\[\s\S])*)"[ \t]*$/.exec(one);
    if (string !== null)
      found.push([string[1]!.toLowerCase(), string[2]!.replace(/\\([\s\S])/g, "$1"), true]);
    else if (plain !== null) found.push([plain[1]!.toLowerCase(), plain[2] ?? true, false]);
  }
  return found;
}

test("in Cache-Control, each directive that the grammar allows is found with its argument", () => {
  const value = near(
    ...[
      "max-age",
      "s-maxage",
      "no-store",
      "private",
      "no-cache",
      "public",
      "must-revalidate",
      "Max-Age",
      "foo",
    ],
    ...["=", "=", ",", ",", " ", '"', "60", "5", '"60"', '"x-a, x-b"', "\\"],
  );
  fc.assert(
    fc.property(value, (text) => {
      const found = parseDirectives(text);
      const naive = naiveDirectives(text);
      if (naive === null) {
        expect(found.has("no-store")).toBe(true); // a string without an end may hide one
        return;
      }
      for (const [name, argument] of naive) {
        if (!["max-age", "s-maxage", "no-store", "private", "no-cache", "public"].includes(name)) continue;
        expect(found.has(name as "max-age")).toBe(true);
        const all = naive.filter(([other]) => other === name);
        if (name === "max-age" || name === "s-maxage") {
          const seconds = found.seconds(name);
          if (seconds !== undefined) {
            // Other ways to write it may only make it unreadable.
            const numbers = all.map(([, one]) =>
              typeof one === "string" && /^\d+$/.test(one) ? Number(one) : Number.NaN,
            );
            expect(seconds).toBe(Math.min(...numbers, 2 ** 31));
          } else if (all.length === 1 && typeof argument === "string" && /^\d+$/.test(argument)) {
            // Then the name is there a second time, in an unreadable form.
            expect(text.toLowerCase().split(name).length).toBeGreaterThan(2);
          }
        }
      }
    }),
    runs,
  );
});

test("in CDN-Cache-Control, a lifetime is never more than its integer, and never overrides no-store", () => {
  const value = near(
    ...[
      "max-age",
      "s-maxage",
      "no-store",
      "private",
      "=",
      "=",
      ",",
      ", ",
      " ",
      "60",
      '"60"',
      "60.0",
      "-1",
      "?0",
      "?1",
      ";a=1",
    ],
  );
  fc.assert(
    fc.property(value, fc.constantFrom("no-store", "private", "max-age=7", ""), (text, plain) => {
      const { directives, targeted } = directivesOf([
        ["CDN-Cache-Control", text],
        ["Cache-Control", plain],
      ]);
      if (!targeted) {
        expect(directives.has("no-store")).toBe(plain === "no-store");
        expect(directives.seconds("max-age")).toBe(plain === "max-age=7" ? 7 : undefined);
        return;
      }
      const seconds = directives.seconds("max-age");
      if (seconds !== undefined)
        expect(text).toMatch(new RegExp(`(?:^|[, \\t])max-age=0*${seconds}(?:$|[, \\t;])`));
      const last = [...text.matchAll(/(?:^|[, \t])no-store(=\?0)?(?=$|[, \t;])/g)].at(-1);
      if (last !== undefined) expect(directives.has("no-store")).toBe(last[1] === undefined);
    }),
    runs,
  );
});

test("if Negotiator finds that a client accepts an encoding, so do we", () => {
  const value = near(
    "gzip",
    "br",
    "identity",
    "*",
    ",",
    ", ",
    ";q=0",
    ";q=0.0",
    ";q=1",
    ";q=0.5",
    "; q=0",
    " ",
  );
  fc.assert(
    fc.property(value, (text) => {
      const offered = ["gzip", "br", "deflate", "zstd"];
      const accepted = new Negotiator({ headers: { "accept-encoding": text } }).encodings(offered);
      if (accepted.length > 0) expect(acceptsEncoding({ "accept-encoding": text })).toBe(true);
    }),
    runs,
  );
});

test("a Range is the same part as with slicing by hand", () => {
  const value = near("bytes=", "0", "1", "5", "9", "-", "-", ",", " ");
  fc.assert(
    fc.property(value, fc.integer({ min: 0, max: 12 }), (text, size) => {
      const range = rangeOf(text, size);
      const parts = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(text);
      const [, first, last] = parts ?? [];
      if (parts === null || (first === "" && last === "")) {
        expect(range).toBeUndefined();
        return;
      }
      const all = Array.from({ length: size }, (_, i) => i);
      const wanted = all.filter((at) =>
        first === "" ? at >= size - Number(last) : at >= Number(first) && (last === "" || at <= Number(last)),
      );
      if (typeof range === "object") expect(all.slice(range.start, range.end + 1)).toEqual(wanted);
      else if (range === "unsatisfiable") expect(wanted).toEqual([]);
      else expect(size === 0 || (last !== "" && Number(last) < Number(first))).toBe(true);
    }),
    runs,
  );
});
