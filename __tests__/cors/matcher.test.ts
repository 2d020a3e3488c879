import fc from "fast-check";
import { compileMatcher } from "../../src/cors/matcher.js";
import { type OriginPattern, parseOriginPattern } from "../../src/lib/http/origin.js";
import { cpuMs } from "../support/cpu.js";

const label = fc.constantFrom("a", "b", "foo", "barfoo", "x-y", "com", "example");
const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const scheme = fc.constantFrom("https", "http");
const port = fc.constantFrom("", ":8080", ":8443");
const origin = fc.tuple(scheme, host, port).map(([s, h, p]) => `${s}://${h}${p}`);
const pattern = fc
  .tuple(scheme, fc.boolean(), host, fc.constantFrom("", ":8080", ":*"))
  .map(([s, sub, h, p]) => `${s}://${sub ? "*." : ""}${h}${p}`);
const noise = fc.constantFrom("", ".", "..", "x", ",https://a.com", "/", "@", ":", "A", "\u00e9", " ");

/** A naive matcher. */
function naive(pattern: string, origin: string): boolean {
  const literal = (text: string) => text.replace(/[.[\]]/g, "\\$&");
  const source = literal(pattern)
    .replace("://*\\.", "://(?:[a-z0-9_-]+\\.)+")
    .replace(/:\*$/, "(?::[1-9][0-9]*)?");
  return new RegExp(`^${source}$`).test(origin);
}

it("the compiled matcher agrees with a naive one, for patterns and their lookalikes", () => {
  fc.assert(
    fc.property(
      fc.array(pattern, { minLength: 1, maxLength: 6 }),
      fc.oneof(
        origin,
        fc.tuple(origin, noise).map(([o, n]) => o + n),
        fc.tuple(noise, origin).map(([n, o]) => o.replace("://", `://${n}`)),
      ),
      (patterns, sent) => {
        const parsed = patterns.map((text) => parseOriginPattern(text));
        expect(parsed.filter((one) => typeof one === "string")).toEqual([]);
        const matches = compileMatcher(parsed as OriginPattern[], []);
        expect([sent, matches(sent)]).toEqual([sent, patterns.some((one) => naive(one, sent))]);
      },
    ),
    { numRuns: 3_000 },
  );
});

it.each([
  ["https://*.foo.com", "https://barfoo.com"],
  ["https://*.foo.com", "https://foo.com"],
  ["https://*.foo.com", "https://a.foo.com.evil.com"],
  ["https://*.foo.com", "https://a.foo.com:444"],
  ["https://*.foo.com", "http://a.foo.com"],
  ["http://localhost:*", "http://localhost.evil.com"],
  ["http://localhost:*", "http://localhost:"],
  ["http://localhost:*", "http://localhost:080"],
])("%s does not let %s in", (configured, sent) => {
  expect(compileMatcher([parseOriginPattern(configured) as OriginPattern], [])(sent)).toBe(false);
});

it("a matcher takes limited time for long hosts", () => {
  const matches = compileMatcher([parseOriginPattern("https://*.foo.com") as OriginPattern], []);
  const started = cpuMs();
  for (let i = 0; i < 1_000; i++) matches(`https://${"a.".repeat(8_000)}foo.com`);
  expect(cpuMs() - started).toBeLessThan(1_000);
});
