import { cors } from "../../src/cors/index.js";
import { regExpProblem } from "../../src/cors/regexp.js";
import { parseOriginPattern } from "../../src/lib/http/origin.js";
import { cpuMs } from "../support/cpu.js";

/** The URL parser decides about Punycode; since Node 24 it accepts every label that looks like it. */
const parserRefuses = (origin: string) => !URL.canParse(origin);

it.each([
  ["https://a.example.", true],
  ["https://xn--bcher-kva.example", true],
  ["https://b\u00fccher.example", /Punycode.*xn--bcher-kva/],
  ["https://xn--a.example", parserRefuses("https://xn--a.example") ? /not valid Punycode/ : true],
  ["https://a..b", /empty label/],
  [`https://${"a".repeat(64)}.example`, /63/],
  [`https://${"a.".repeat(126)}ab`, /253/],
  [`https://*.${"a.".repeat(125)}ab`, /253/],
  ["https://127.0.0.1", true],
  ["https://127.1", /IPv4/],
  ["https://0x7f.1", /IPv4/],
  ["https://1.2.3.4.5", /IPv4/],
  ["https://*.127.0.0.1", /IP address/],
  ["https://[::1]:8080", true],
  ["https://[0:0:0:0:0:0:0:1]", /"\[::1\]"/],
  ["https://[::1%lo]", /IPv6/],
  ["https://[::ffff:1.2.3.4]", /IPv4 address/],
  ["https://[::ffff:102:304]", /IPv4 address/],
  ["https://*.[::1]", /IP address/],
  ["https://a.example:0", /port/],
  ["https://a.example:00443", /port/],
  ["https://a.example:65536", /port/],
  ["https://a.example:", /port/],
  ["http://a.example:80", /leave out/],
  ["https://u:p@a.example", /user name/],
  ["https://a_b.example", true],
  ["https://a b.example", /character/],
  ["https://", /no host/],
  ["file:///x", /file/],
  ["1http://a", /scheme/],
  ["https:a.example", /scheme/],
])("the origin %.40s: %p", (text, expected) => {
  const result = parseOriginPattern(text as string);
  if (expected === true) expect(result).toMatchObject({ scheme: expect.any(String) });
  else expect(result).toMatch(expected as RegExp);
});

it.each([
  [/^a$/, true],
  [/^a$|^b$/, true],
  [/^(?:a|b)$/, true],
  [/^[|]$/, true],
  [/^a\|b$/, true],
  [/^a\\$/, true],
  [/a$/, false],
  [/^a/, false],
  [/^a|b$/, false],
  [/^a\$/, false],
  [/^a$|b/, false],
  [/^a$/m, false],
  [/^a$/i, true],
])("the RegExp %s is anchored: %p", (pattern, fine) => {
  expect(regExpProblem(pattern) === undefined).toBe(fine);
});

it.each([
  [/^https:\/\/a\.example\/$/, /no "\/" at its end; write \/\^https:\\\/\\\/a\\\.example\$\//],
  [/^https?:[/][/]a\.example\/$/, undefined],
  [/^https:\/\/a\.example\/app$/, /no path/],
  [/^https:\/\/([a-z]+\.)?a\.example\/$/, /no "\/"/],
  [/^http:\/\/b\.example$|^https:\/\/a\.example\/$/, /no "\/"/],
  [/^https:\/\/App\.example$/, /lower case, and it has "A"; write .*\$\/i/],
  [/^https:\/\/[a-z]+\.Example\.com$/, /"E"/],
  [/^https:\/\/a\.example:443$/, /standard port :443; write/],
  [/^http:\/\/a\.example:80$/, /standard port :80; write/],
])("the RegExp %s matches no origin, and is refused so: %s", (origin, expected) => {
  const make = () => cors({ origin });
  if (expected === undefined) expect(make).not.toThrow();
  else expect(make).toThrow(expected);
});

it.each<[RegExp, string]>([
  [/^https:\/\/a\.example\/?$/, "https://a.example"],
  [/^https:\/\/a\.example(?:\/)?$/, "https://a.example"],
  [/^https:\/\/a\.example(?:\/|)$/, "https://a.example"],
  [/^https:\/\/a\.example\/{0,1}$/, "https://a.example"],
  [/^https:\/\/[^/]+$/, "https://a.example"],
  [/^https:\/\/[^\]/]+$/, "https://a.example"],
  [/^https:\/\/[A-Za-z0-9.-]+$/, "https://a.example"],
  [/^https:\/\/A?a\.example$/, "https://a.example"],
  [/^https:\/\/\S+\.example$/, "https://a.example"],
  [/^https:\/\/A\.example$/i, "https://a.example"],
  [/^https:\/\/\p{Ll}\.example$/u, "https://a.example"],
  [/^https:\/\/(?<Site>a|b)\.example$/, "https://a.example"],
  [/^https?:\/\/a\.example:443$/, "http://a.example:443"],
  [/^http:\/\/a\.example:8080$/, "http://a.example:8080"],
  [/^file:\/\/$/, "file://"],
])("the RegExp %s is taken, as it matches %s", (origin, matched) => {
  expect(origin.test(matched)).toBe(true);
  expect(() => cors({ origin })).not.toThrow();
});

describe("with credentials, a RegExp", () => {
  const problem = (origin: RegExp, allowInsecureOrigins = false): string => {
    try {
      cors({ origin, credentials: true, allowInsecureOrigins });
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };

  it.each([
    [/^https:\/\/([a-z0-9-]+\.)*example\.com$/],
    [/^https:\/\/(.+\.)?example\.co\.uk(?::8443)?$/i],
    [/^https:\/\/(?:app|www)\.example\.(?:com|org)$/],
    [/^https:\/\/(?:example\.com|example\.org|example\.net)$/],
    [/^https:\/\/stranger\.(?:com|org)$/],
    [/^https:\/\/[a-z0-9-]+-shop\.host\.example$/],
    [/^https:\/\/[^.]+\.example\.com$/],
    [/^(?:http:\/\/localhost:\d+|https:\/\/app\.example)$/],
    [/^https?:\/\/(?:[a-z]+\.)?localhost(?::\d+)?$/],
    [/^http:\/\/(?:127\.0\.0\.1|\[::1\]):\d+$/],
    [/^capacitor:\/\/localhost$/],
  ])("%s is fine", (origin) => {
    expect(problem(origin)).toBe("");
  });

  it.each([
    [/^.*$/, "http://nobody.example"],
    [/^https?:\/\/app\.example$/, "http://app.example"],
    [/^https?:\/\/[a-z]+\.app\.example$/, "http://www.app.example"],
    [/^http:\/\/app\.example:3000$/, "http://app.example:3000"],
    [/^http:\/\/app\.example:\d+$/, "http://app.example:8080"],
    [/^http:\/\/192\.168\.\d+\.\d+$/, "http://192.168.0.1"],
    [/^http:\/\/intranet$/, "http://intranet"],
  ])("%s is refused: it matches %s", (origin, sample) => {
    expect(problem(origin)).toContain(`matches "${sample}", which is not secure`);
    expect(problem(origin, true)).not.toContain("not secure");
  });

  it.each([
    ["everyone", /^https:\/\/.+$/, "https://nobody.example", "https://stranger.example"],
    ["a top-level domain", /^https:\/\/\w+\.com$/, "https://nobody.com", "https://stranger.com"],
    ["what is below one", /^https:\/\/\w+\.\w+\.io$/, "https://www.nobody.io", "https://www.stranger.io"],
    [
      "a name in any domain",
      /^https:\/\/app\.\w+\.com$/,
      "https://app.nobody.com",
      "https://app.stranger.com",
    ],
    ["any end", /^https:\/\/a\.test.*$/, "https://a.test.nobody.example", "https://a.test.stranger.example"],
    ["no dot", /^https:\/\/.*example\.com$/, "https://nobodyexample.com", "https://strangerexample.com"],
    [
      "a dash",
      /^https:\/\/(?:\w+[.-])?example\.com$/,
      "https://nobody-example.com",
      "https://stranger-example.com",
    ],
    ["any character", /^https:\/\/app.example.com$/, "https://appxexample.com", "https://app0example.com"],
    ["plain http", /^http:\/\/.+\.org$/, "http://nobody.org", "http://stranger.org"],
  ])("that lets in %s is refused, http: allowed or not: %s", (_name, origin, one, other) => {
    const secure = !origin.source.startsWith("^http:");
    const problems = secure ? [problem(origin), problem(origin, true)] : [problem(origin, true)];
    for (const told of problems)
      expect(told).toContain(`foreign sites with credentials, for example "${one}" and "${other}"`);
  });

  it("is tested in limited time, for any source", () => {
    const many = Array.from({ length: 300 }, (_, i) => `shop${i}\\.example\\.com`).join("|");
    const started = cpuMs();
    expect(problem(new RegExp(`^https://(?:${many})$`))).toBe("");
    expect(problem(/^https:\/\/([a-z0-9-]+\.?)*example\.com$/)).toContain("foreign sites");
    expect(cpuMs() - started).toBeLessThan(2_000);
  });

  it("is not tested without credentials", () => {
    expect(() => cors({ origin: /^.*$/ })).not.toThrow();
  });
});
