import fc from "fast-check";
import { type CacheStatusParts, cacheStatus } from "../../src/cache/cache-status.js";
import { parseDictionary } from "../../src/cache/rules/targeted.js";
import { anyText } from "../support/text.js";

it.each<[string, CacheStatusParts, string]>([
  ["portico", { hit: true, ttlSeconds: 30 }, "portico; hit; ttl=30"],
  ["portico", { hit: true, ttlSeconds: -5 }, "portico; hit; ttl=-5"],
  ["portico", { hit: true, fwd: "stale" }, "portico; hit"],
  ["portico", { hit: false, fwd: "uri-miss", stored: true }, "portico; fwd=uri-miss; stored"],
  ["portico", { fwd: "uri-miss", collapsed: true, stored: false }, "portico; fwd=uri-miss; collapsed"],
  [
    "portico",
    { fwd: "stale", fwdStatus: 304, ttlSeconds: 59.9, stored: true },
    "portico; fwd=stale; fwd-status=304; ttl=59; stored",
  ],
  ["portico", { fwd: "bypass", detail: "cookie" }, "portico; fwd=bypass; detail=cookie"],
  ["portico", { fwd: "bypass", detail: "two words" }, 'portico; fwd=bypass; detail="two words"'],
  ["portico", { hit: true, key: 'a.example /x?"\\=1' }, 'portico; hit; key="a.example /x?\\"\\\\=1"'],
  ["portico", { hit: true, key: "/\u00e4\r\nSet-Cookie: x" }, 'portico; hit; key="/???Set-Cookie: x"'],
  ["portico", { hit: true, key: "x".repeat(600) }, `portico; hit; key="${"x".repeat(512)}"`],
  ["portico", { ttlSeconds: Number.POSITIVE_INFINITY }, "portico; ttl=999999999999999"],
  ["portico", { ttlSeconds: Number.NaN }, "portico; ttl=0"],
  ["portico", { ttlSeconds: -0 }, "portico; ttl=0"],
  ["portico", {}, "portico"],
  ["my cache", { hit: true }, '"my cache"; hit'],
  ["1st", { hit: true }, '"1st"; hit'],
  ["a.example:80/x", { hit: true }, "a.example:80/x; hit"],
  ["", {}, '""'],
])("%s %j", (name, parts, expected) => {
  expect(cacheStatus(name, parts)).toBe(expected);
});

it("is a valid structured field, whatever its parts are", () => {
  const parts = fc.record(
    {
      hit: fc.boolean(),
      fwd: fc.constantFrom("bypass" as const, "vary-miss" as const),
      fwdStatus: fc.nat(999),
      ttlSeconds: fc.double(),
      key: anyText(),
      detail: anyText(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(anyText(), parts, (name, given) => {
      // An item with parameters is read as the value of a dictionary member.
      expect(parseDictionary(`x=${cacheStatus(name, given)}`)?.size).toBe(1);
    }),
  );
});
