import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import { type NotStored, whyNotStored } from "../../../src/cache/rules/storable.js";
import { directivesOf, parseDictionary, targetedDirectives } from "../../../src/cache/rules/targeted.js";
import type { HeaderList } from "../../../src/lib/response/snapshot.js";
import { cpuMs } from "../../support/cpu.js";

describe("what is storable", () => {
  interface Case {
    method?: string;
    request?: IncomingHttpHeaders;
    status?: number;
    cookies?: boolean;
    requestDirectives?: boolean;
  }

  function why(
    headers: HeaderList,
    { method = "GET", request = {}, status = 200, cookies = false, ...rest }: Case = {},
  ) {
    return whyNotStored({ method, headers: request }, { status, headers }, { cookies, ...rest });
  }

  const FRESH = ["Cache-Control", "max-age=60"] as const;
  const DATE = "Sat, 21 Nov 2026 12:00:00 GMT";
  const EARLIER = "Sat, 21 Nov 2026 11:00:00 GMT";
  const LATER = "Sat, 21 Nov 2026 13:00:00 GMT";

  describe("what it says about caching", () => {
    it.each<[string, HeaderList, NotStored | undefined]>([
      ["nothing", [], "no-freshness"],
      [
        "only validators",
        [
          ["ETag", '"a"'],
          ["Last-Modified", EARLIER],
          ["Date", DATE],
        ],
        "no-freshness",
      ],
      ["max-age", [FRESH], undefined],
      ["max-age, more than spent on the way", [FRESH, ["Age", "100"]], undefined],
      ["s-maxage", [["Cache-Control", "s-maxage=60"]], undefined],
      ["s-maxage=0 beside max-age", [["Cache-Control", "max-age=60, s-maxage=0"]], "no-freshness"],
      ["max-age=0", [["Cache-Control", "max-age=0"]], "no-freshness"],
      [
        "max-age=0 and a validator",
        [
          ["Cache-Control", "max-age=0"],
          ["ETag", '"a"'],
        ],
        undefined,
      ],
      ["max-age=0 and a window", [["Cache-Control", "max-age=0, stale-while-revalidate=9"]], undefined],
      ["max-age=0 and another window", [["Cache-Control", "max-age=0, stale-if-error=9"]], undefined],
      ["an unreadable max-age", [["Cache-Control", "max-age=60.5"]], "no-freshness"],
      ["no-cache", [["Cache-Control", "no-cache"]], "no-freshness"],
      [
        "no-cache and a validator",
        [
          ["Cache-Control", "no-cache"],
          ["ETag", '"a"'],
        ],
        undefined,
      ],
      ["no-cache and a lifetime", [["Cache-Control", "no-cache, max-age=60"]], "no-freshness"],
      ["no-cache for one field", [["Cache-Control", 'no-cache="a", max-age=60']], undefined],
      ["public", [["Cache-Control", "public"]], "no-freshness"],
      [
        "public and a validator",
        [
          ["Cache-Control", "public"],
          ["ETag", '"a"'],
        ],
        undefined,
      ],
      [
        "Expires",
        [
          ["Expires", LATER],
          ["Date", DATE],
        ],
        undefined,
      ],
      ["Expires without Date", [["Expires", LATER]], undefined],
      [
        "a past Expires",
        [
          ["Expires", EARLIER],
          ["Date", DATE],
        ],
        "no-freshness",
      ],
      [
        "a past Expires and a validator",
        [
          ["Expires", EARLIER],
          ["Date", DATE],
          ["ETag", '"a"'],
        ],
        undefined,
      ],
      ["Expires: 0", [["Expires", "0"]], "no-freshness"],
      ["Pragma: no-cache and max-age", [FRESH, ["Pragma", "no-cache"]], undefined],
      ["no-store", [["Cache-Control", "no-store"]], "no-store"],
      [
        "no-store and a lifetime",
        [
          ["Cache-Control", "max-age=60, No-Store"],
          ["Expires", LATER],
        ],
        "no-store",
      ],
      ["no-store on another line", [["Cache-Control", ["max-age=60", "no-store"]]], "no-store"],
      ["private", [["Cache-Control", "PRIVATE, max-age=60"]], "private"],
      ["private for one field", [["Cache-Control", 'private="x-foo", max-age=60']], undefined],
      [
        "private for one field, and for all",
        [["Cache-Control", 'private="x-foo", private, max-age=60']],
        "private",
      ],
      ["private without quotes", [["Cache-Control", "private=x-foo, max-age=60"]], "private"],
      ["must-understand", [["Cache-Control", "must-understand, no-store, max-age=60"]], undefined],
      ["must-understand=x", [["Cache-Control", "must-understand=x, no-store, max-age=60"]], "no-store"],
      ["a targeted no-store", [FRESH, ["CDN-Cache-Control", "no-store"]], "no-store"],
      [
        "a targeted lifetime",
        [
          ["Cache-Control", "no-store"],
          ["CDN-Cache-Control", "max-age=60"],
        ],
        undefined,
      ],
      [
        "a targeted field that is broken",
        [
          ["Cache-Control", "private"],
          ["CDN-Cache-Control", "max-age"],
        ],
        "no-freshness",
      ],
      [
        "a targeted field over Expires",
        [
          ["Expires", LATER],
          ["CDN-Cache-Control", "foo"],
        ],
        "no-freshness",
      ],
      ["Surrogate-Control alone", [["Surrogate-Control", "max-age=60"]], "no-freshness"],
    ])("%s", (_, headers, expected) => {
      expect(why(headers)).toBe(expected);
    });
  });

  describe("the status", () => {
    it.each([
      200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 499, 500, 502, 503, 599, 999,
    ])("%p is stored with a lifetime, and not on a validator alone", (status) => {
      expect(why([FRESH], { status })).toBeUndefined();
      expect(why([["ETag", '"a"']], { status })).toBe("no-freshness");
    });

    it.each<[number, string]>([
      [100, "status"],
      [103, "status"],
      [199, "status"],
      [206, "partial"],
      [304, "status"],
      [412, "status"],
      [416, "status"],
      [428, "status"],
      [429, "status"],
      [431, "status"],
      [511, "status"],
      [1000, "status"],
    ])("%p is never stored", (status, expected) => {
      expect(why([["Cache-Control", "public, s-maxage=60"]], { status })).toBe(expected);
    });

    it.each([299, 418, 499, 599])("%p is not understood", (status) => {
      expect(why([["Cache-Control", "max-age=60, must-understand"]], { status })).toBe("status");
    });

    it("is stored with no-cache only if it may be stored without a lifetime", () => {
      const headers: HeaderList = [
        ["Cache-Control", "no-cache"],
        ["ETag", '"a"'],
      ];
      expect([200, 404, 403, 500].map((status) => why(headers, { status }))).toEqual([
        undefined,
        undefined,
        "no-freshness",
        "no-freshness",
      ]);
    });
  });

  describe("the request", () => {
    it.each(["HEAD", "POST", "PUT", "OPTIONS", "PURGE", "get"])("%s", (method) => {
      expect(why([FRESH], { method })).toBe("method");
    });

    it("forbids storing with no-store, if request directives count", () => {
      const request = { "cache-control": "No-Store" };
      expect(why([FRESH], { request })).toBe("request-no-store");
      expect(why([FRESH], { request, requestDirectives: false })).toBeUndefined();
      expect(why([FRESH], { request: { "cache-control": "no-cache" } })).toBeUndefined();
    });

    it.each<[string, NotStored | undefined]>([
      ["max-age=60", "authorization"],
      ["max-age=60, public", undefined],
      ["max-age=60, public=0", "authorization"],
      ["max-age=60, must-revalidate", undefined],
      ["max-age=60, proxy-revalidate", "authorization"],
      ["s-maxage=60", undefined],
      ["s-maxage=x, max-age=60", "authorization"],
    ])("with Authorization and %j", (value, expected) => {
      const request = { authorization: "Basic eA==" };
      expect(why([["Cache-Control", value]], { request })).toBe(expected);
      expect(why([["Cache-Control", value]], { request: { authorization: "" } })).toBe(expected);
    });

    it("reads the targeted field, not Cache-Control, for Authorization", () => {
      const request = { authorization: "x" };
      expect(
        why(
          [
            ["Cache-Control", "public"],
            ["CDN-Cache-Control", "max-age=60"],
          ],
          { request },
        ),
      ).toBe("authorization");
      expect(why([["CDN-Cache-Control", "max-age=60, public"]], { request })).toBeUndefined();
    });

    it("with a cookie", () => {
      const request = { cookie: "a=b" };
      expect(why([["Cache-Control", "public, max-age=60"]], { request })).toBe("cookie");
      expect(why([FRESH], { request, cookies: true })).toBeUndefined();
    });

    it("for a range, and an answer that may be one", () => {
      const headers: HeaderList = [FRESH, ["Content-Range", "items 0-9/100"]];
      expect(why(headers, { request: { range: "items=0-9" } })).toBe("partial");
      expect(why(headers)).toBeUndefined();
      expect(why([FRESH], { request: { range: "bytes=0-9" } })).toBeUndefined();
    });
  });

  describe("the other headers", () => {
    it.each<[string, HeaderList, NotStored | undefined]>([
      ["a cookie", [["Set-Cookie", "a=b"]], "set-cookie"],
      ["cookies", [["set-cookie", ["a=b", "c=d"]]], "set-cookie"],
      ["no cookie after all", [["Set-Cookie", []]], undefined],
      [
        "a cookie that is left out",
        [
          ["Set-Cookie", "a=b"],
          ["Cache-Control", 'no-cache="Set-Cookie"'],
        ],
        undefined,
      ],
      [
        "a cookie that is private",
        [
          ["Set-Cookie", "a=b"],
          ["Cache-Control", 'private="Set-Cookie"'],
        ],
        undefined,
      ],
      ["Vary", [["Vary", "Accept"]], undefined],
      ["Vary: *", [["Vary", "*"]], "vary"],
      ["Vary: * among others", [["Vary", ["Accept", ", *"]]], "vary"],
      ["Vary that is no list", [["Vary", "Accept Encoding"]], "vary"],
      ["events", [["Content-Type", "text/event-stream; charset=utf-8"]], "stream"],
      ["events in capitals", [["Content-Type", "Text/Event-Stream"]], "stream"],
      ["frames", [["Content-Type", "multipart/x-mixed-replace;boundary=x"]], "stream"],
      ["something else", [["Content-Type", "text/event-stream-list"]], undefined],
      ["Clear-Site-Data", [["Clear-Site-Data", '"cookies"']], undefined],
      [
        "a nonce",
        [
          ["Content-Security-Policy", "script-src 'nonce-abc'"],
          ["Content-Type", "text/html"],
        ],
        "nonce",
      ],
      [
        "a nonce in a report",
        [["Content-Security-Policy-Report-Only", ["x", "script-src 'NONCE-abc'"]]],
        "nonce",
      ],
      [
        "a nonce for data",
        [
          ["Content-Security-Policy", "script-src 'nonce-a'"],
          ["Content-Type", "application/json"],
        ],
        undefined,
      ],
      [
        "a policy",
        [
          ["Content-Security-Policy", "script-src 'self'"],
          ["Content-Type", "text/html"],
        ],
        undefined,
      ],
      ["tags", [["Cache-Tag", "a, b"]], undefined],
      ["too many tags", [["Cache-Tag", Array.from({ length: 1001 }, (_, i) => `t${i}`).join()]], "tags"],
      ["a tag too long", [["Surrogate-Key", "x".repeat(1025)]], "tags"],
    ])("%s", (_, headers, expected) => {
      expect(why([FRESH, ...headers])).toBe(expected);
    });

    it("may set cookies, if the app allows it", () => {
      expect(why([FRESH, ["Set-Cookie", "a=b"]], { cookies: true })).toBeUndefined();
    });
  });

  it("never stores a response with a restriction, whatever else it says", () => {
    const noise = fc.constantFrom(
      "public",
      "max-age=60",
      "s-maxage=60",
      'x="a, b"',
      "MAX-AGE=0",
      "foo",
      "must-revalidate",
    );
    const restriction = fc.constantFrom(
      "no-store",
      "private",
      "No-Store",
      "PRIVATE",
      "private=a",
      "no-store=0",
    );
    fc.assert(
      fc.property(
        fc.array(noise),
        restriction,
        fc.array(noise),
        fc.boolean(),
        (before, word, after, lines) => {
          const all = [...before, word, ...after];
          const headers: HeaderList = [
            ["Cache-Control", lines ? all : all.join(", ")],
            ["Expires", LATER],
          ];
          expect(["no-store", "private"]).toContain(why(headers));
          expect(["no-store", "private"]).toContain(why(headers, { cookies: true, status: 599 }));
        },
      ),
    );
  });
});

describe("targeted fields", () => {
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
      expect(
        targetedDirectives(headers, ["own-cache-control", "cdn-cache-control"])?.seconds("max-age"),
      ).toBe(2);
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
});
