import { domainToUnicode } from "node:url";
import fc from "fast-check";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { compileMatcher } from "../../src/cors/matcher.js";
import { ConfigError, type Problem } from "../../src/lib/config/config-error.js";
import { type OriginPattern, parseOriginPattern } from "../../src/lib/http/origin.js";

/** The problems with the options, or none. */
function problemsOf(options: unknown): readonly Problem[] {
  try {
    cors(options as CorsOptions);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** The remedies in a message: origins, lists of them, RegExps, and other options. */
function remediesIn(reason: string): unknown[] {
  const found: unknown[] = [];
  const advice = /(?:; write|such as|write a list for several:|; name)(.*)$/s.exec(reason)?.[1] ?? "";
  for (const [text] of advice.matchAll(
    /\[(?:"[^"]*"(?:, )?)+\]|"[^"]*"|(?<=^ |or )\/.*\/[a-z]*(?=$|, or )/g,
  )) {
    if (text.startsWith("/")) {
      const [, source, flags] = /^\/(.*)\/([a-z]*)$/s.exec(text)!;
      found.push(new RegExp(source!, flags));
    } else found.push(JSON.parse(text));
  }
  return found;
}

const matchesAll = (rule: unknown, origins: readonly string[]) => {
  const list = Array.isArray(rule) ? rule : [rule];
  const patterns = list.filter((one) => typeof one === "string").map((one) => parseOriginPattern(one));
  expect(patterns.filter((one) => typeof one === "string")).toEqual([]);
  const regExps = list.filter((one): one is RegExp => one instanceof RegExp);
  const matches = compileMatcher(patterns as OriginPattern[], regExps);
  return origins.filter((origin) => !matches(origin));
};

const label = fc.constantFrom("app", "www", "example", "shop", "xn--bcher-kva", "3d", "4f2a1b3c9d8e", "a-b");
const domain = fc
  .tuple(fc.array(label, { minLength: 1, maxLength: 2 }), fc.constantFrom("com", "org", "example"))
  .map(([labels, top]) => [...labels, top].join("."));
const host = fc.oneof(
  { weight: 4, arbitrary: domain },
  fc.constantFrom("localhost", "127.0.0.1", "[::1]", "203.0.113.9", "[2001:db8::1]", "3dprinter"),
);
const origin = fc
  .record({
    scheme: fc.constantFrom("https", "https", "http"),
    host,
    port: fc.constantFrom("", "", ":8443", ":3000"),
  })
  .map(({ scheme, host, port }) => `${scheme}://${host}${port}`);

/** Ways in which people write an origin that no browser sends. */
const slips: Record<string, (origin: string) => string | undefined> = {
  "a trailing slash": (o) => `${o}/`,
  "a path": (o) => `${o}/login?next=/#top`,
  "a backslash": (o) => `${o}\\`,
  "capitals in the host": (o) => o.replace(/(?<=:\/\/)[a-z]+/, (text) => text.toUpperCase()),
  "capitals in the scheme": (o) => o.replace(/^https?/, (text) => text.toUpperCase()),
  "white space": (o) => ` ${o}\n`,
  quotes: (o) => `"${o}"`,
  "a user's name": (o) => o.replace("://", "://user:pass@"),
  "the scheme's own port": (o) => (/:\d+$/.test(o) ? undefined : `${o}:${o.startsWith("https:") ? 443 : 80}`),
  "no scheme": (o) =>
    /^https:\/\/(?!localhost|127|\[::1)|^http:\/\/(?:localhost|127|\[::1)/.test(o)
      ? o.replace(/^.*:\/\//, "")
      : undefined,
  "no scheme but slashes": (o) =>
    /^https:\/\/(?!localhost|127|\[::1)/.test(o) ? o.replace("https:", "") : undefined,
  "one slash": (o) => o.replace("://", ":/"),
  Unicode: (o) =>
    o.includes("xn--") ? o.replace("xn--bcher-kva", domainToUnicode("xn--bcher-kva")) : undefined,
  "a short IPv4 address": (o) => o.replace("127.0.0.1", "127.1").replace("203.0.113.9", "0xcb.0.0x7109"),
  "a long IPv6 address": (o) =>
    o.replace("[::1]", "[0:0:0:0:0:0:0:1]").replace("[2001:db8::1]", "[2001:DB8:0:0::1]"),
  "an IPv4 address in IPv6": (o) => o.replace("203.0.113.9", "[::ffff:203.0.113.9]"),
};

it.each(
  Object.keys(slips),
)("what is proposed for an origin with %s is accepted, and is that origin", (slip) => {
  fc.assert(
    fc.property(origin, fc.boolean(), (meant, inList) => {
      const written = slips[slip]!(meant);
      fc.pre(written !== undefined && written !== meant);
      const options = (entry: unknown) => ({ origin: inList ? ["https://other.example", entry] : entry });
      const [problem, ...more] = problemsOf(options(written));
      expect([written, more]).toEqual([written, []]);
      expect([written, problem?.option]).toEqual([written, inList ? "origin[1]" : "origin"]);
      const remedies = remediesIn(problem!.reason);
      expect([written, problem!.reason, remedies]).toEqual([written, problem!.reason, [meant]]);
      expect(problemsOf(options(remedies[0]))).toEqual([]);
      expect(matchesAll(remedies[0], [meant])).toEqual([]);
    }),
    { numRuns: 50 },
  );
});

it.each([
  "*.example.com",
  "HTTPS://*.Example.com/",
  "https://*.example.com:443",
  ".example.com",
  "//*.example.com",
])("what is proposed for the pattern %s is a pattern", (written) => {
  const [problem] = problemsOf({ origin: written });
  expect(remediesIn(problem!.reason)).toEqual(["https://*.example.com"]);
});

it("the remedy for several origins in one string is a list of them", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(origin, { minLength: 2, maxLength: 4 }),
      fc.constantFrom(",", ", ", " ", "  ", "\n", ";", " , "),
      fc.boolean(),
      (origins, separator, slashed) => {
        const written = origins.map((one) => (slashed ? `${one}/` : one)).join(separator);
        const [problem, ...more] = problemsOf({ origin: written });
        expect(more).toEqual([]);
        expect(problem!.reason).toContain("must be one origin; write a list for several");
        expect(remediesIn(problem!.reason)).toEqual([origins]);
        expect(problemsOf({ origin: origins })).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});

/** Ways in which people write a RegExp for a domain. */
const d = (name: string) => name.replaceAll(".", "\\.");
const styles: Record<string, (name: string) => string> = {
  "no start": (n) => `${d(n)}$`,
  "no start, dots bare": (n) => `${n}$`,
  "no end": (n) => `^https:\\/\\/${d(n)}`,
  neither: (n) => d(n),
  "the scheme, no start": (n) => `https:\\/\\/${d(n)}$`,
  "the scheme, neither": (n) => `https?:\\/\\/${d(n)}`,
  "as in the README of cors": (n) => `:\\/\\/(.+\\.)?${n}$`,
  slashes: (n) => `\\/\\/${d(n)}$`,
  "a dot before": (n) => `\\.${d(n)}$`,
  "a start or a dot before": (n) => `(^|\\.)${d(n)}$`,
  "anything before": (n) => `.*${d(n)}$`,
  "anything and a dot before": (n) => `.*\\.${d(n)}$`,
  "a start, anything before": (n) => `^.*${d(n)}`,
  "anything behind": (n) => `^https:\\/\\/${d(n)}.*`,
  "two alternatives": (n) => `^https:\\/\\/${d(n)}|https:\\/\\/other\\.example$`,
  "subdomains, no end": (n) => `^https:\\/\\/(?:[a-z]+\\.)?${d(n)}`,
};

it.each(
  Object.keys(styles),
)("what is proposed for a RegExp with %s is accepted, and matches what was meant", (style) => {
  fc.assert(
    fc.property(
      domain,
      fc.constantFrom("", "i", "g", "y", "gi"),
      fc.boolean(),
      (name, flags, credentials) => {
        const written = new RegExp(styles[style]!(name), flags);
        const options = (entry: unknown) => ({ origin: entry, credentials });
        const [problem, ...more] = problemsOf(options(written));
        expect([written, more]).toEqual([written, []]);
        const remedies = remediesIn(problem!.reason).filter((one) => one instanceof RegExp);
        expect([written, problem!.reason, remedies]).toEqual([
          written,
          problem!.reason,
          [expect.any(RegExp)],
        ]);
        expect([remedies, problemsOf(options(remedies[0]))]).toEqual([remedies, []]);
        const plain = new RegExp(written.source, written.flags.replace(/[gy]/g, ""));
        const meant = [`https://${name}`, `https://www.${name}`].filter((one) => plain.test(one));
        expect(meant).not.toEqual([]);
        expect([remedies, matchesAll(remedies[0], meant)]).toEqual([remedies, []]);
        // a remedy is strict as well as anchored: it does not match similar names
        expect(matchesAll(remedies[0], [`https://${name}.evil.test`, `https://evil.test`])).toHaveLength(2);
      },
    ),
    { numRuns: 20 },
  );
});

it.each<[RegExp, boolean, string[]]>([
  [/example\.com$/, false, ["https://example.com", "http://example.com", "https://www.example.com"]],
  [/example\.com$/, true, ["https://example.com", "https://www.example.com"]],
  [/localhost/, false, ["http://localhost", "http://localhost:3000"]],
  [/localhost:\d+$/, true, ["http://localhost:3000"]],
  [/^a\.example$|^https:\/\/b\.example$/g, false, ["https://b.example"]],
  [/^https?:\/\/app\.example$/, true, ["https://app.example"]],
  [/^.*example\.com$/, true, ["https://example.com", "https://www.example.com"]],
  [/^.*\.example\.com$/, true, ["https://www.example.com"]],
  [/^https:\/\/.*example\.com$/, true, ["https://example.com", "https://www.example.com"]],
  [/^https:\/\/app.example.com$/, true, ["https://app.example.com"]],
  [/^https:\/\/app\.example.*$/, true, ["https://app.example"]],
])("what is proposed for %s (with credentials: %p) matches %j", (written, credentials, meant) => {
  const [problem] = problemsOf({ origin: written, credentials });
  const [remedy] = remediesIn(problem!.reason).filter((one) => one instanceof RegExp);
  expect(problemsOf({ origin: remedy, credentials })).toEqual([]);
  expect(matchesAll(remedy, meant)).toEqual([]);
  expect(matchesAll(remedy, ["https://evilexample.com", "https://appxexample.com"])).toHaveLength(2);
});

it("all other remedies are accepted with the options that they are proposed for", () => {
  const every: [options: CorsOptions | Record<string, unknown>, said: RegExp, mended: unknown][] = [
    [
      { origin: "http://a.example", credentials: true },
      /"https:\/\/a\.example", or allowInsecureOrigins: true$/,
      { origin: "https://a.example", credentials: true },
    ],
    [
      { origin: "http://a.example:443", credentials: true },
      /"https:\/\/a\.example", or/,
      { origin: "https://a.example", credentials: true },
    ],
    [
      { origin: "http://a.example", credentials: true },
      /allowInsecureOrigins: true/,
      { origin: "http://a.example", credentials: true, allowInsecureOrigins: true },
    ],
    [
      { origin: "http://*.com", credentials: true },
      /anyone on the network path could read the credentials$/,
      { origin: "https://app.com", credentials: true },
    ],
    [
      { origin: /^http:\/\/app\.example:3000$/, credentials: true },
      /write allowInsecureOrigins: true$/,
      { origin: /^http:\/\/app\.example:3000$/, credentials: true, allowInsecureOrigins: true },
    ],
    [
      { origin: /^.*$/, credentials: true },
      /let it match only https: and your own domain with its subdomains$/,
      { origin: /^https:\/\/(?:.+\.)?own\.example$/, credentials: true },
    ],
    [
      { origin: "https://*.com", credentials: true },
      /such as "https:\/\/\*\.app\.com"$/,
      { origin: "https://*.app.com", credentials: true },
    ],
    [
      { origin: "null" },
      /origin: \(\) => false with allowNull: true$/,
      { origin: () => false, allowNull: true },
    ],
    [
      { origin: ["null", "https://a.example"] },
      /take it out, and write allowNull: true/,
      { origin: ["https://a.example"], allowNull: true },
    ],
    [
      { origin: ["null", "https://a.example"], credentials: true },
      /cannot be allowed: take it out$/,
      { origin: ["https://a.example"], credentials: true },
    ],
    [{ origin: [] }, /write false to allow no origin$/, { origin: false }],
    [
      { origin: [], allowNull: true },
      /write \(\) => false to allow null alone$/,
      { origin: () => false, allowNull: true },
    ],
    [
      { origin: false, allowNull: true },
      /write origin: \(\) => false$/,
      { origin: () => false, allowNull: true },
    ],
    [{ origin: true }, /write "\*" to allow every origin, or list the origins$/, { origin: "*" }],
    [
      { origin: true, credentials: true },
      /by name; list the origins$/,
      { origin: ["https://a.example"], credentials: true },
    ],
    [{ origin: undefined }, /leave the option out, or write "\*"/, { origin: "*" }],
    [
      { origin: undefined, credentials: true },
      /With credentials it must be given$/,
      { origin: "https://a.example", credentials: true },
    ],
    [{ origin: "file:///srv/page.html" }, /write "file:\/\/"$/, { origin: "file://" }],
    [
      { origin: "file:///srv/page.html", credentials: true },
      /no origin but file:\/\/$/,
      { origin: false, credentials: true },
    ],
    [{ methods: ["patch"] }, /write "PATCH"/, { methods: ["PATCH"] }],
    [{ methods: ["TRACE"] }, /take it out/, { methods: [] }],
    [{ allowedHeaders: ["Cookie"] }, /take it out/, { allowedHeaders: [] }],
    [{ exposedHeaders: ["Set-Cookie"] }, /take it out/, { exposedHeaders: [] }],
    [{ orgin: "https://a.example" }, /Did you mean "origin"/, { origin: "https://a.example" }],
  ];
  for (const [options, said, mended] of every) {
    const [problem] = problemsOf(options);
    expect([options, problem?.reason]).toEqual([options, expect.stringMatching(said)]);
    expect([mended, problemsOf(mended)]).toEqual([mended, []]);
  }
});

it("a long origin is not shortened in the remedy", () => {
  const name = `${"a".repeat(60)}.${"b".repeat(60)}.example`;
  expect(remediesIn(problemsOf({ origin: `https://${name}/` })[0]!.reason)).toEqual([`https://${name}`]);
});

it("there is no remedy for an origin that cannot be corrected", () => {
  for (const origin of [
    "https://",
    "https://a b.example",
    "https://a..b",
    "1http://a",
    "https://1.2.3.4.5",
    "https://a.example:99999",
  ]) {
    expect([origin, remediesIn(problemsOf({ origin })[0]!.reason)]).toEqual([origin, []]);
  }
});
