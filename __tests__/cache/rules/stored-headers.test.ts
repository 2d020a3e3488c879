import fc from "fast-check";
import Negotiator from "negotiator";
import { acceptsEncoding, rangeOf } from "../../../src/cache/rules/conditional.js";
import { parseDirectives } from "../../../src/cache/rules/directives.js";
import { ageMs, policyOf } from "../../../src/cache/rules/freshness.js";
import { storedHeaders, tagsOf, updatedHeaders } from "../../../src/cache/rules/stored-headers.js";
import { directivesOf } from "../../../src/cache/rules/targeted.js";
import type { HeaderList } from "../../../src/lib/response/snapshot.js";
import { casesOf } from "../../support/soak.js";

describe("stored headers", () => {
  const FRESH = ["Cache-Control", "max-age=60"] as const;

  describe("storedHeaders", () => {
    it("keeps names, values and order as they were written", () => {
      const headers: HeaderList = [
        ["Content-Type", "text/plain"],
        ["x-LIST", ["a", "b"]],
        ["Content-Length", 5],
        ["Date", "Sat, 21 Nov 2026 12:00:00 GMT"],
        ["Age", "5"],
        ["X-Frame-Options", "deny"],
        ["Cache-Tag", "a"],
      ];
      expect(storedHeaders(headers, [])).toEqual(headers);
    });

    it.each([
      "Connection",
      "Keep-Alive",
      "Proxy-Authenticate",
      "Proxy-Authentication-Info",
      "Proxy-Authorization",
      "Proxy-Connection",
      "TE",
      "Trailer",
      "Transfer-Encoding",
      "Upgrade",
      "Set-Cookie",
      "Authentication-Info",
      "X-Request-Id",
      "X-Correlation-Id",
      "Server-Timing",
      "X-Response-Time",
      "traceparent",
      "tracestate",
      "RateLimit",
      "RateLimit-Policy",
      "ratelimit-remaining",
      "X-RateLimit-Remaining",
      "X-Rate-Limit-Limit",
    ])("leaves %s out", (name) => {
      expect(storedHeaders([[name, "x"], FRESH], [])).toEqual([FRESH]);
      expect(storedHeaders([[name.toLowerCase(), ["x", "y"]], FRESH], [])).toEqual([FRESH]);
    });

    it.each([
      "NEL",
      "Report-To",
      "Alt-Svc",
      "Public-Key-Pins",
      "Content-MD5",
      "Retry-After",
      "RateLimited",
      "TEA",
    ])("keeps %s", (name) => {
      expect(storedHeaders([[name, "x"]], [])).toEqual([[name, "x"]]);
    });

    it("leaves out what Connection lists", () => {
      expect(
        storedHeaders(
          [
            ["Connection", ["close, A", "b"]],
            ["a", "1"],
            ["B", "2"],
            ["c", "3"],
            ["close", "4"],
          ],
          [],
        ),
      ).toEqual([["c", "3"]]);
    });

    it("leaves out what private and no-cache name", () => {
      const cacheControl = ["Cache-Control", ['private="X-Foo, b"', 'no-cache="c", max-age=60']] as const;
      expect(storedHeaders([cacheControl, ["x-foo", "1"], ["B", "2"], ["c", "3"], ["d", "4"]], [])).toEqual([
        cacheControl,
        ["d", "4"],
      ]);
      const targeted = ["CDN-Cache-Control", 'max-age=60, private="b"'] as const;
      expect(storedHeaders([targeted, ["B", "2"], ["d", "4"]], [])).toEqual([targeted, ["d", "4"]]);
    });

    it("leaves out headers of outer middleware that are unchanged", () => {
      const before: HeaderList = [
        ["X-Powered-By", "Express"],
        ["X-Number", 1],
        ["X-List", ["a", "b"]],
        ["X-Frame-Options", "deny"],
        ["X-Gone", "1"],
      ];
      const headers: HeaderList = [
        ["x-powered-by", "Express"],
        ["X-Number", "1"],
        ["X-List", ["a", "b"]],
        ["X-Frame-Options", "sameorigin"],
        ["X-New", "1"],
      ];
      expect(storedHeaders(headers, before)).toEqual([
        ["X-Frame-Options", "sameorigin"],
        ["X-New", "1"],
        ["X-Gone", []], // removed by the handlers, so removed from each answer
      ]);
      const outer: HeaderList = [["X-List", ["a", "b"]]];
      expect(storedHeaders([["X-List", ["a", "b", "c"]]], outer)).toEqual([["X-List", ["a", "b", "c"]]]);
      expect(storedHeaders([["X-List", "a, b"]], outer)).toEqual([["X-List", "a, b"]]);
    });

    it("keeps what the cache uses and what describes the body, even from outer middleware", () => {
      const headers: HeaderList = [
        FRESH,
        ["CDN-Cache-Control", "max-age=60"],
        ["Expires", "0"],
        ["Date", "Sat, 21 Nov 2026 12:00:00 GMT"],
        ["Age", "5"],
        ["ETag", '"a"'],
        ["Last-Modified", "Sat, 21 Nov 2026 11:00:00 GMT"],
        ["Content-Type", "text/html"],
        ["Content-Encoding", "gzip"],
        ["Content-Language", "en"],
        ["Content-Length", 5],
      ];
      expect(storedHeaders(headers, headers)).toEqual(headers);
    });

    it.each<[string, string | readonly string[], string | undefined, string | undefined]>([
      ["all of it", "Accept, Foo", undefined, "Accept, Foo"],
      ["what was added", "Origin, Accept", "Origin", "Accept"],
      ["nothing, if nothing was", "Origin", "origin", undefined],
      ["nothing twice", ["Accept", "accept, FOO", "foo"], "", "Accept, FOO"],
      ["what a replaced one has more", "Accept", "Origin", "Accept"],
    ])("keeps of Vary %s", (_, value, before, expected) => {
      const outer: HeaderList = before === undefined ? [] : [["vary", before]];
      const stored = storedHeaders([["Vary", value], FRESH], outer);
      expect(stored).toEqual(expected === undefined ? [FRESH] : [["Vary", expected], FRESH]);
    });

    it("stores a copy of a list", () => {
      const list = ["a"];
      const stored = storedHeaders([["X-List", list]], []);
      list.push("b");
      expect(stored).toEqual([["X-List", ["a"]]]);
    });

    it("stores the same when it is asked again", () => {
      const names = fc.constantFrom("Connection", "a", "b", "Cache-Control", "Vary", "Set-Cookie", "Date");
      const values = fc.constantFrom("a", "b, a", 'private="a"', "x", "close");
      fc.assert(
        fc.property(
          fc.array(fc.tuple(names, values)),
          fc.array(fc.tuple(names, values)),
          (headers, before) => {
            const stored = storedHeaders(headers, before);
            expect(storedHeaders(stored, [])).toEqual(stored);
            for (const pair of stored) {
              const isRemoved = typeof pair[1] === "object" && (pair[1] as readonly string[]).length === 0;
              if (isRemoved) expect(headers.map(([name]) => name)).not.toContain(pair[0]);
              else if (pair[0] !== "Vary") expect(headers).toContainEqual(pair);
            }
            expect(stored.some(([name]) => name === "Set-Cookie" || name === "Connection")).toBe(false);
          },
        ),
      );
    });
  });

  describe("updatedHeaders", () => {
    it.each<[string, string, string]>([
      ["Test-Header", "A", "B"],
      ["Cache-Control", "max-age=1", "max-age=3600"],
      ["Content-Foo", "A", "B"],
      ["Content-Location", "/foo", "/bar"],
      ["Content-Security-Policy", "default-src 'self'", "default-src *"],
      ["Content-Type", "text/plain", "text/plain;charset=utf-8"],
      ["Expires", "A", "B"],
      ["Last-Modified", "A", "B"],
      ["Date", "A", "B"],
      ["Age", "1", "2"],
      ["Vary", "A", "B"],
    ])("takes %s from the 304", (name, before, after) => {
      expect(updatedHeaders([[name, before]], [[name.toUpperCase(), after]])).toEqual([
        [name.toUpperCase(), after],
      ]);
    });

    it.each([
      "Content-Encoding",
      "Content-Length",
      "Content-MD5",
      "Content-Range",
      "Content-Digest",
      "Repr-Digest",
      "ETag",
    ])("keeps the stored %s", (name) => {
      expect(updatedHeaders([[name, "A"]], [[name.toLowerCase(), "B"]])).toEqual([[name, "A"]]);
    });

    it("never takes headers that are never stored", () => {
      const from304: HeaderList = [
        ["Connection", "close, x-a"],
        ["X-A", "1"],
        ["Set-Cookie", "a=b"],
        ["Transfer-Encoding", "chunked"],
        ["X-Request-Id", "1"],
        ["Cache-Control", 'max-age=1, private="x-b"'],
        ["X-B", "1"],
      ];
      expect(updatedHeaders([FRESH, ["x-b", "0"]], from304)).toEqual([
        ["x-b", "0"],
        ["Cache-Control", 'max-age=1, private="x-b"'],
      ]);
    });

    it("replaces all lines of a field, and leaves the other fields", () => {
      expect(
        updatedHeaders(
          [
            ["Link", "a"],
            ["X-Old", "1"],
            ["link", "b"],
          ],
          [["Link", ["c", "d"]]],
        ),
      ).toEqual([
        ["X-Old", "1"],
        ["Link", ["c", "d"]],
      ]);
    });

    it("takes the ETag of the 304 if none is stored", () => {
      expect(updatedHeaders([], [["ETag", '"a"']])).toEqual([["ETag", '"a"']]);
    });

    it("each field has the value of the 304 if there is one", () => {
      const name = fc.constantFrom("A", "B", "C", "D", "E");
      const list = fc.uniqueArray(fc.tuple(name, fc.string()), { selector: ([key]) => key });
      fc.assert(
        fc.property(list, list, (stored, from304) => {
          expect(Object.fromEntries(updatedHeaders(stored, from304))).toEqual({
            ...Object.fromEntries(stored),
            ...Object.fromEntries(from304),
          });
        }),
      );
    });
  });

  describe("tagsOf", () => {
    it.each<[HeaderList, string[]]>([
      [[], []],
      [[["Cache-Tag", "a, b ,,a,c d"]], ["a", "b", "c d"]],
      [[["cache-tag", ["a", "b,c"]]], ["a", "b", "c"]],
      [[["Surrogate-Key", " a  b\tc,d "]], ["a", "b", "c,d"]],
      [
        [
          ["Surrogate-Key", "a b"],
          ["Cache-Tag", "B,a"],
        ],
        ["B", "a", "b"],
      ],
      [
        [
          ["Surrogate-Key", ""],
          ["Cache-Tag", " , "],
        ],
        [],
      ],
      [[["Cache-Tag", 5]], ["5"]],
    ])("of %j are %j", (headers, expected) => {
      expect(tagsOf(headers)).toEqual(expected);
    });
  });
});

// Compares the header parsers with naive and slow ones that are written from the standards alone.
describe("beside an oracle", () => {
  const runs = { numRuns: casesOf(2_000) };

  /** Texts that are often nearly right. */
  function near(...parts: string[]): fc.Arbitrary<string> {
    const piece = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...parts) }, fc.string({ maxLength: 3 }));
    return fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(""));
  }

  test("Age is the first member, in seconds, if it has only digits", () => {
    const lines = fc.array(near("0", "7200", "60", ",", " ", "\t", "-", ".", "abc", ";a=1"), {
      maxLength: 3,
    });
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
          first === ""
            ? at >= size - Number(last)
            : at >= Number(first) && (last === "" || at <= Number(last)),
        );
        if (typeof range === "object") expect(all.slice(range.start, range.end + 1)).toEqual(wanted);
        else if (range === "unsatisfiable") expect(wanted).toEqual([]);
        else expect(size === 0 || (last !== "" && Number(last) < Number(first))).toBe(true);
      }),
      runs,
    );
  });
});
