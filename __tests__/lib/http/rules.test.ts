import { parse as parseUrl } from "node:url";
import fc from "fast-check";
import { preferredType, problemOf, represent } from "../../../src/lib/http/problem.js";
import { authorityOf, hasFragment, pathOf, queryOf, targetFault } from "../../../src/lib/http/target.js";
import { isHeaderValue, isToken, quote, tokenList } from "../../../src/lib/http/tokens.js";
import { mergeVary } from "../../../src/lib/http/vary.js";
import { asError, describeThrown } from "../../../src/lib/values/thrown.js";
import { cpuMs } from "../../support/cpu.js";
import { casesOf } from "../../support/soak.js";

const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/);
const bounds = { elements: 100 };

describe("tokenList", () => {
  it.each([
    ["", []],
    ["a", ["a"]],
    ["a, b", ["a", "b"]],
    [" a\t,\tb ", ["a", "b"]],
    [",a,,b,", ["a", "b"]],
    ["A-b_c, 1", ["A-b_c", "1"]],
    ["a b", undefined],
    ['a, "b"', undefined],
    ["a;q=1", undefined],
    ["é", undefined],
    ["a\u00a0,b", undefined],
    [",".repeat(16), undefined],
    ["a,".repeat(101), undefined],
  ])("of %j is %j", (value, expected) => {
    expect(tokenList(value, bounds)).toEqual(expected);
  });

  it("agrees with a naive reading of any text", () => {
    const noise = fc.string({
      unit: fc.constantFrom("a", "B", "-", ",", " ", "\t", "@", "é"),
      maxLength: 40,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          noise,
          fc.array(token).map((list) => list.join(", ")),
        ),
        (value) => {
          const parts =
            value === "" ? [] : value.split(",").map((part) => part.replace(/^[ \t]+|[ \t]+$/g, ""));
          const naive = parts.filter((part) => part !== "");
          const wrong = naive.some((part) => !isToken(part)) || parts.length - naive.length > 16;
          expect(tokenList(value, bounds)).toEqual(wrong ? undefined : naive);
        },
      ),
    );
  });

  it("takes time in proportion to the length, however it is written", () => {
    const started = cpuMs();
    for (const part of [",", " ", "a,", "a ,\t", " ,"])
      tokenList(part.repeat(1_000_000), { elements: 1e9, empty: 1e9 });
    expect(cpuMs() - started).toBeLessThan(5_000);
  });
});

describe("mergeVary", () => {
  it.each([
    ["", "Origin", "Origin"],
    ["Origin", "Origin", "Origin"],
    ["origin", "Origin", "origin"],
    ["Accept", "Origin", "Accept, Origin"],
    ["Accept,Origin", "Origin", "Accept,Origin"],
    ["*", "Origin", "*"],
    ["Accept, *", "Origin", "Accept, *"],
    ["Accept", "*", "*"],
    ["Origin", "Origin, Accept, accept", "Origin, Accept"],
    ["X-Origin", "Origin", "X-Origin, Origin"],
    ["", "Origin, origin", "Origin"],
  ])("of %j and %j is %j", (present, field, merged) => {
    expect(mergeVary(present, field)).toBe(merged);
  });

  it("never loses a name, and never names one twice", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(token, { selector: (t) => t.toLowerCase() }),
        fc.array(token),
        (before, added) => {
          const merged = mergeVary(before.join(", "), added.join(", "));
          const names = merged.toLowerCase().split(", ").filter(Boolean);
          if (merged === "*" || before.includes("*")) return;
          expect(new Set(names).size).toBe(names.length);
          expect(new Set(names)).toEqual(new Set([...before, ...added].map((name) => name.toLowerCase())));
        },
      ),
      { examples: [[[], ["a", "A"]]] },
    );
  });
});

it("quote gives what a naive reader of quoted strings reads back", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const quoted = quote(text);
      expect(quoted.startsWith('"') && quoted.endsWith('"')).toBe(true);
      expect(quoted.slice(1, -1).replace(/\\(.)/gs, "$1")).toBe(text);
    }),
  );
});

it.each([
  ["plain", true],
  ["tab\tinside", true],
  ["\u00e9", true],
  ["", true],
  ["a\nb", false],
  ["a\rb", false],
  ["a\0b", false],
  ["\u2028", false],
  ["\u{1f600}", false],
  ["\x7f", false],
])("isHeaderValue(%j) is %p", (text, expected) => {
  expect(isHeaderValue(text)).toBe(expected);
});

it.each([
  [undefined, "a/a"],
  ["", "a/a"],
  ["b/b", "b/b"],
  ["b/*;q=0.5, a/a;q=0.1", "b/b"],
  ["c/c", "a/a"],
  ["a/a;q=0, */*", "b/b"],
  ["*/*;q=0", "a/a"],
])("preferredType for %j is %s", (accept, expected) => {
  expect(preferredType(accept, ["a/a", "b/b"])).toBe(expected);
});

it("a problem in any form holds what it should, escaped, for any detail", () => {
  fc.assert(
    fc.property(fc.string(), (detail) => {
      const problem = { ...problemOf(500), detail };
      expect(JSON.parse(represent(problem, undefined).body)).toEqual({ ...problem });
      expect(
        represent(problem, "text/html")
          .body.match(/<[a-z]+/g)
          ?.join(),
      ).toBe(`<html,<head,<meta,<title,<body,<h,<${detail.includes("\n") ? "pre" : "p"}`);
    }),
  );
});

it.each([
  ["/a/b?c=d", "/a/b", "c=d"],
  ["/a", "/a", undefined],
  ["/a?", "/a", ""],
  ["*", "*", undefined],
  ["http://h/a?b", "/a", "b"],
  ["http://h", "/", undefined],
  ["http://h?b", "/", "b"],
  ["/?u=http://x/y", "/", "u=http://x/y"],
  ["//h/a", "//h/a", undefined],
  ["", "/", undefined],
])("the target %j has the path %j and the query %j", (url, path, query) => {
  expect([pathOf({ url } as never), queryOf({ url } as never)]).toEqual([path, query]);
  expect(pathOf({ url: "/rewritten", originalUrl: url } as never)).toBe(path);
});

it("describeThrown and asError take anything", () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }), (value) => {
      const { type, message } = describeThrown(value);
      expect(typeof type).toBe("string");
      expect(typeof message).toBe("string");
      expect(typeof asError(value)).toBe("object");
    }),
  );
  expect(describeThrown(new RangeError("x"))).toMatchObject({ type: "RangeError", message: "x" });
  expect(asError("route")).toMatchObject({ message: expect.stringContaining("route"), cause: "route" });
});

describe("targets", () => {
  it.each([
    ["/a#token=S", "/a", undefined],
    ["/a?x=1#token=S", "/a", "x=1"],
    ["/a#b?token=S", "/a", undefined],
    ["http://h#token=S", "/", undefined],
  ])("the fragment of %s is no part of its path and its query", (url, path, query) => {
    expect([pathOf({ url } as never), queryOf({ url } as never)]).toEqual([path, query]);
    expect(hasFragment(url)).toBe(true);
    expect(targetFault(url, "GET")).toMatch(/fragment/);
  });

  it("an authority is one that Node's parsers of URLs read alike, and what follows is the path", () => {
    const piece = fc.constantFrom(
      ...[
        "a",
        "shop.example",
        "xn--",
        "xn--a",
        "1.2.3.4",
        "1.2.3.256",
        "0x7f",
        "[::1]",
        "[",
        "]",
        ":",
        ":80",
        ":99999",
      ],
      ...[
        "@",
        "%41",
        "\\",
        "'",
        ";",
        "|",
        "{",
        "`",
        "^",
        "*",
        "~",
        "!",
        "_",
        "-",
        ".",
        "..",
        "/",
        "?",
        "//",
        "é",
        "\u3002",
      ],
    );
    const target = fc.array(piece, { maxLength: 5 }).map((parts) => `http://${parts.join("")}`);
    fc.assert(
      fc.property(target, (text) => {
        const authority = authorityOf(text);
        if (authority === undefined) return;
        const old = parseUrl(text);
        expect(new URL(`http://${authority}`).hostname).toBe(new URL(text).hostname);
        expect([old.auth, old.host]).toEqual([null, authority.toLowerCase().replace(/:$/, "")]);
        // The older parser escapes, and takes a backslash for a slash.
        const plain = (path: string) => decodeURIComponent(path).replaceAll("\\", "/");
        expect(plain(old.pathname ?? "")).toBe(plain(pathOf({ url: text } as never)));
      }),
      { numRuns: casesOf(3_000) },
    );
  });

  it.each([
    ["/", "GET", true],
    ["//evil.example/x", "GET", true],
    ["*", "OPTIONS", true],
    ["*", "GET", false],
    ["*", undefined, false],
    ["", "GET", false],
    ["page", "GET", false],
    ["http://a/", "GET", true],
    ["http://a", "OPTIONS", true],
    ["http://u@a/", "GET", false],
    ["ftp://a/", "GET", false],
  ])("the target %j of %s may be answered: %s", (target, method, isFine) => {
    expect(targetFault(target, method) === undefined).toBe(isFine);
  });
});
