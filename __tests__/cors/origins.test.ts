import express, { type RequestHandler } from "express";
import fc from "fast-check";
import request from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { compileMatcher } from "../../src/cors/matcher.js";
import { regExpProblem } from "../../src/cors/regexp.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { type OriginPattern, parseOriginPattern } from "../../src/lib/http/origin.js";
import { cpuMs } from "../support/cpu.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen, raw } from "../support/server.js";
import { casesOf, SOAK } from "../support/soak.js";
import { A, appOf, granted, PREFLIGHT, PREFLIGHT_VARY } from "./support.js";

describe("an origin", () => {
  afterEach(closeServers);

  describe.each(expressVersions)("on %s", (_version, express) => {
    const app = appOf(express);

    describe("with origins", () => {
      const options: CorsOptions = {
        origin: [
          A,
          "https://*.b.example",
          "http://localhost:*",
          /^https:\/\/c\d\.example$/,
          /^https:\/\/.+\.loose\.example$/,
        ],
      };

      const made = app(options);
      it.each([
        [A, true],
        ["https://x.b.example", true],
        ["https://x.y.b.example", true],
        ["http://localhost", true],
        ["http://localhost:5173", true],
        ["https://c1.example", true],
        ["https://b.example", false],
        ["https://xb.example", false],
        ["https://.b.example", false],
        ["https://a.example.evil.example", false],
        ["http://a.example", false],
        ["https://a.example:8443", false],
        ["https://A.example", false],
        ["https://c1.example.evil", false],
        ["https://x.b.example:444", false],
        ["https://localhost:5173", false],
        ["null", false],
        ["", false],
        [`${A}, ${A}`, false],
        [`https://evil.example, https://x.b.example`, false],
        [`${A}, https://x.loose.example`, false],
        ["https://x.loose.example", true],
        ["https://evil.example/.loose.example", false],
        ["https://x..b.example", false],
        [`https://${"x.".repeat(4000)}b.example`, false],
      ])("the origin %.60s may read: %p", async (origin, allowed) => {
        const res = await request(made).get("/").set("Origin", origin).expect(200, "GET reached");
        expect(granted(res.headers)).toEqual(allowed ? { "access-control-allow-origin": origin } : {});
        expect(res.headers.vary).toBe("Origin");
        await request(made)
          .options("/")
          .set({ Origin: origin, "Access-Control-Request-Method": "PUT" })
          .expect(allowed ? 204 : 403);
      });

      it("sends Vary: Origin also without an Origin", async () => {
        expect((await request(app(options)).get("/")).headers.vary).toBe("Origin");
      });

      it("keeps Origin in Vary when a handler sets Vary in any way", async () => {
        const replace: RequestHandler = (req, res) => {
          if (req.url === "/writeHead") res.writeHead(200, { Vary: "Accept" }).end();
          else res.set("Vary", req.url === "/star" ? "*" : "Accept").send("x");
        };
        const made = app(options, replace);
        expect((await request(made).get("/set")).headers.vary).toBe("Accept, Origin");
        expect((await request(made).get("/writeHead")).headers.vary).toBe("Accept, Origin");
        expect((await request(made).get("/star")).headers.vary).toBe("*");
      });

      it("two Origin headers match nothing", async () => {
        const server = await listen(app(options));
        const head = `GET / HTTP/1.1\r\nHost: a\r\nOrigin: ${A}\r\nOrigin: ${A}\r\n\r\n`;
        expect((await raw(server.port, head, 40)).text).not.toMatch(/Access-Control/i);
      });

      it("passes on an OPTIONS that is no preflight", async () => {
        await request(app(options)).options("/").expect(200, "OPTIONS reached");
        const res = await request(app(options)).options("/").set("Origin", A).expect(200, "OPTIONS reached");
        expect(res.headers["access-control-allow-origin"]).toBe(A);
      });

      it('answers every OPTIONS with shortCircuit "all", also one that is no preflight', async () => {
        const made = app({ ...options, shortCircuit: "all" });
        const none = await request(made).options("/").expect(200, "");
        expect([granted(none.headers), none.headers.vary]).toEqual([{}, PREFLIGHT_VARY]);
        const refused = await request(made)
          .options("/")
          .set("Origin", "https://evil.example")
          .expect(200, "");
        expect([granted(refused.headers), refused.headers.vary]).toEqual([{}, PREFLIGHT_VARY]);
        const allowed = await request(made)
          .options("/")
          .set({ Origin: A, "Access-Control-Request-Headers": "not a list" })
          .expect(200, "");
        expect(granted(allowed.headers)).toEqual({
          "access-control-allow-origin": A,
          "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
        });
        await request(made)
          .options("/")
          .set({ ...PREFLIGHT, Origin: "https://evil.example" })
          .expect(403);
      });
    });

    it("origin: false allows no origin and sends no Vary", async () => {
      const res = await request(app({ origin: false }))
        .get("/")
        .set("Origin", A)
        .expect(200);
      expect(granted(res.headers)).toEqual({});
      expect(res.headers).not.toHaveProperty("vary");
      const refused = await request(app({ origin: false }))
        .options("/")
        .set(PREFLIGHT)
        .expect(403);
      expect(refused.headers.vary).toBe(PREFLIGHT_VARY);
    });

    describe("the origin null", () => {
      it.each<[CorsOptions, string | undefined]>([
        [{}, "*"],
        [{ origin: "*" }, "*"],
        [{ origin: A }, undefined],
        [{ origin: A, allowNull: true }, "null"],
        [{ origin: /^.*$/ }, undefined],
        [{ origin: () => true }, undefined],
        [{ origin: () => false, allowNull: true }, "null"],
      ])("with %p gets %p", async (options, expected) => {
        const res = await request(app(options)).get("/").set("Origin", "null");
        expect(res.headers["access-control-allow-origin"]).toBe(expected);
      });
    });
  });

  it("is named cors for every kind of origin", () => {
    for (const origin of ["*", A, false, () => true] as const) expect(cors({ origin }).name).toBe("cors");
  });
});

describe("rules for origins", () => {
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
      [
        "any end",
        /^https:\/\/a\.test.*$/,
        "https://a.test.nobody.example",
        "https://a.test.stranger.example",
      ],
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
});

describe("the matcher", () => {
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
      { numRuns: SOAK ? 3_000 : 150 },
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
    for (let i = 0; i < casesOf(1_000); i++) matches(`https://${"a.".repeat(8_000)}foo.com`);
    expect(cpuMs() - started).toBeLessThan(1_000);
  });
});

describe("schemes", () => {
  const app = appOf(express);

  const CHROME = "chrome-extension://bkhaagjahfmjljalopjnoealnfndnagc";
  const FIREFOX = "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc";
  const SAFARI = "safari-web-extension://E5F2A6D0-1B2C-4D3E-8F4A-5B6C7D8E9F00";

  const allowed = async (options: CorsOptions, origin: string) => {
    const { headers } = await request(app(options)).get("/").set("Origin", origin).expect(200);
    const preflight = await request(app(options))
      .options("/")
      .set({ Origin: origin, "Access-Control-Request-Method": "PUT" });
    expect(preflight.status).toBe(headers["access-control-allow-origin"] === undefined ? 403 : 204);
    return headers["access-control-allow-origin"];
  };

  const problem = (options: CorsOptions): string => {
    try {
      cors(options);
      return "";
    } catch (error) {
      if (error instanceof ConfigError) return error.problems.map(({ reason }) => reason).join(" ");
      throw error;
    }
  };

  it.each([
    CHROME,
    FIREFOX,
    "moz-extension://00000000-0000-4000-8000-000000000001",
    SAFARI,
    "safari-web-extension://e5f2a6d0-1b2c-4d3e-8f4a-5b6c7d8e9f00",
    "http://3dprinter",
    "http://3dprinter:631",
    "http://4f2a1b3c9d8e:3000",
    "https://0a1b2c.internal.4you",
    "http://0xbeefy",
    "https://1password.com",
    "https://example.0day",
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "app://obsidian.md",
    "app://-",
    "vscode-webview://1a2b3c4d",
    "http://[2001:db8::1]:8080",
    "file://",
  ])("%s is an origin that can be allowed: by name, in a list, by a function", async (origin) => {
    for (const rule of [origin, ["https://a.example", origin], (asked: string) => asked === origin]) {
      expect(await allowed({ origin: rule }, origin)).toBe(origin);
      expect(await allowed({ origin: rule }, "https://evil.example")).toBeUndefined();
    }
    const escaped = origin.replace(/[/.[\]]/g, "\\$&");
    expect(await allowed({ origin: new RegExp(`^${escaped}$`) }, origin)).toBe(origin);
  });

  it.each([
    ["http://127.1", /ends like an IPv4 address/],
    ["http://a.0x1f", /ends like an IPv4 address/],
    ["http://a.0x", /ends like an IPv4 address/],
    ["http://2130706433", /ends like an IPv4 address/],
    ["http://a.1", /ends like an IPv4 address/],
    ["http://1.2.3.4.", /ends like an IPv4 address/],
    ["https://A.example", /lower case/],
    [CHROME.replace("bkh", "BKH"), /lower case/],
    [FIREFOX.replace("2c127fa4", "2C127FA4"), /lower case/],
    ["safari-web-extension://E5F2 A6D0", /character/],
    ["safari-web-extension://E5F2A6D0/", /without path/],
    ["file:///", /write "file:\/\/"/],
    ["file:///home/index.html", /write "file:\/\/"/],
    ["FILE://", /lower case.*write "file:\/\/"/],
    ["https://*", /only as the whole first label/],
    ["capacitor://*", /only as the whole first label/],
  ])("%s is not: %s", (origin, reason) => {
    expect(problem({ origin })).toMatch(reason);
  });

  it("an upper-case origin matches in its own case only, and never a web origin", async () => {
    expect(await allowed({ origin: SAFARI }, SAFARI.toLowerCase())).toBeUndefined();
    expect(await allowed({ origin: SAFARI.toLowerCase() }, SAFARI)).toBeUndefined();
    const asked = jest.fn(() => true);
    for (const origin of [
      "https://A.example",
      "http://LOCALHOST",
      "wss://A",
      "HTTPS://a.example",
      "Moz-extension://a",
    ]) {
      expect(await allowed({ origin: asked }, origin)).toBeUndefined();
      expect(await allowed({ origin: [/^.*$/] }, origin)).toBeUndefined();
    }
    expect(asked).not.toHaveBeenCalled();
    expect(await allowed({ origin: asked }, SAFARI)).toBe(SAFARI);
  });

  describe("a pattern over a whole extension scheme", () => {
    it("allows every extension of the scheme and nothing else", async () => {
      const options = { origin: ["moz-extension://*", "https://a.example"] };
      expect(await allowed(options, FIREFOX)).toBe(FIREFOX);
      expect(await allowed(options, "https://a.example")).toBe("https://a.example");
      for (const other of [
        CHROME,
        SAFARI,
        `${FIREFOX}:80`,
        `${FIREFOX}, ${FIREFOX}`,
        "moz-extension://",
        "https://moz-extension",
        "https://x",
      ]) {
        expect([other, await allowed(options, other)]).toEqual([other, undefined]);
      }
    });

    it.each<[string, string | RegExp]>([
      ["a pattern", "moz-extension://*"],
      ["a pattern for Safari", "safari-web-extension://*"],
      ["a RegExp", /^chrome-extension:\/\/[a-p]{32}$/],
      ["a RegExp for Firefox", /^moz-extension:\/\/[0-9a-f-]+$/],
      ["a RegExp for Safari", /^safari-web-extension:\/\/[0-9A-F-]{36}$/],
      ["a RegExp for all", /^[a-z-]+-extension:\/\/.+$/],
    ])("with credentials is a problem: %s", (_name, origin) => {
      expect(problem({ origin, credentials: true })).toMatch(/would allow every extension with credentials/);
      expect(problem({ origin: ["https://a.example", origin], credentials: true })).toMatch(
        /every extension/,
      );
      expect(problem({ origin })).toBe("");
    });

    it.each([
      CHROME,
      FIREFOX,
      SAFARI,
    ])("with credentials one extension by name is no problem: %s", async (origin) => {
      const options = { origin, credentials: true };
      const { headers } = await request(app(options)).get("/").set("Origin", origin);
      expect(granted(headers)).toEqual({
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
      });
    });
  });

  describe("file:// with credentials", () => {
    it.each<[string, CorsOptions["origin"]]>([
      ["by name", "file://"],
      ["in a list", ["https://a.example", "file://"]],
      ["in a RegExp", /^(?:file:\/\/|https:\/\/a\.example)$/],
    ])("is a problem %s", (_name, origin) => {
      expect(problem({ origin, credentials: true })).toMatch(/all files on all computers/);
      expect(problem({ origin })).toBe("");
    });

    it("is refused without a call of the function, and the preflight says why", async () => {
      const origin = jest.fn(() => true);
      const made = app({ origin, credentials: true });
      const res = await request(made).get("/").set("Origin", "file://").expect(200);
      expect([granted(res.headers), res.headers.vary]).toEqual([{}, "Origin"]);
      const refused = await request(made)
        .options("/")
        .set({ Origin: "file://", "Access-Control-Request-Method": "PUT" })
        .expect(403);
      expect(refused.text).toMatch(/"file:\/\/" is refused with credentials/);
      expect(origin).not.toHaveBeenCalled();
    });
  });
});
