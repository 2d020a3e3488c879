import { domainToUnicode } from "node:url";
import express from "express";
import fc from "fast-check";
import request from "supertest";
import { type CorsOptions, cors } from "../../src/cors/index.js";
import { compileMatcher } from "../../src/cors/matcher.js";
import { ConfigError, type Problem } from "../../src/lib/config/config-error.js";
import { type OriginPattern, parseOriginPattern } from "../../src/lib/http/origin.js";
import { casesOf } from "../support/soak.js";
import { A, appOf, B, granted, PREFLIGHT } from "./support.js";

describe("options", () => {
  const app = appOf(express);

  it.each<[string, unknown, RegExp]>([
    // no option of cors
    ["options", "https://a.example", /object of options/],
    ["options", null, /object of options/],
    ["options", [A], /object of options/],
    ["options", (_req: unknown, done: () => void) => done(), /origin: \(origin, req\) => boolean/],
    ["origins", { origins: [A] }, /Did you mean "origin"/],
    ["orgin", { orgin: A }, /Did you mean "origin"/],
    ["maxage", { maxage: 5 }, /Did you mean "maxAge"/],
    ["allowHeaders", { allowHeaders: "x" }, /hono's name; here it is `allowedHeaders`/],
    ["credential", { credential: true }, /Did you mean "credentials"/],
    ["preflightContinue", { origin: A, preflightContinue: true }, /shortCircuit: "preflight"/],
    ["headers", { origin: A, headers: ["X-A"] }, /^`headers` is cors's name; here it is `allowedHeaders`$/],
    ["headers", { headers: undefined }, /here it is `allowedHeaders`/],
    // accepted by the cors package, not here
    ["origin", { origin: true }, /"\*" to allow every origin, or list/],
    ["origin", { origin: undefined }, /environment variable missing/],
    [
      "origin",
      { origin: (_o: string, callback: (e: null, ok: boolean) => void) => callback(null, true) },
      /return true or false/,
    ],
    [
      "origin",
      {
        origin: (_o: string, cb: () => void) => {
          cb();
        },
      },
      /return true or false/,
    ],
    ["origin", { origin: (_a: string, _b: unknown, _c: unknown) => true }, /return true or false/],
    [
      "origin",
      {
        origin(_o: string, callback: () => void) {
          callback();
        },
      },
      /return true or false/,
    ],
    ["origin", { origin: async (_o: string, _callback: unknown) => true }, /return true or false/],
    ["allowNull", { origin: false, allowNull: true }, /allows no origin/],
    ["origin", { origin: /example\.com$/ }, /anchored.*\/\^\(\?:/],
    ["origin", { origin: /^https:\/\/a|b$/ }, /anchored in every alternative/],
    ["origin", { origin: /^a$/g }, /flag g/],
    ["origin", { origin: /^a$/y }, /flag y/],
    // its anchors are not the problem
    ["origin", { origin: /^https:\/\/\d+\.internal$/g }, /flag g: (?!.*begin it with)/],
    ["origin", { origin: /^https:\/\/\d+\.internal$/m }, /flag m: (?!.*begin it with)/],
    ["origin[1]", { origin: [A, /example/] }, /anchored/],
    // origins
    ["origin", { origin: "" }, /begin with a scheme/],
    ["origin", { origin: [] }, /empty list; write false/],
    ["origin", { origin: 5 }, /an origin such as/],
    ["origin", { origin: null }, /an origin such as/],
    ["origin[0]", { origin: [undefined] }, /an origin such as/],
    ["origin[1]", { origin: [A, ""] }, /begin with a scheme/],
    ["origin", { origin: "null" }, /allowNull: true/],
    ["origin", { origin: "app.example" }, /"https:\/\/app\.example"/],
    ["origin", { origin: "//app.example" }, /"https:\/\/app\.example"/],
    ["origin", { origin: `${A}/` }, /without path.*"https:\/\/a\.example"/],
    ["origin", { origin: `${A}/path` }, /without path/],
    ["origin", { origin: `${A}?x` }, /without path/],
    ["origin", { origin: `${A}, https://b.example` }, /write a list/],
    ["origin", { origin: " https://a.example" }, /white space/],
    ["origin", { origin: "https://*" }, /only as the whole first label/],
    ["origin", { origin: "https://a.*.example" }, /only as the whole first label/],
    ["origin", { origin: "https://*a.example" }, /only as the whole first label/],
    ["origin", { origin: "https://a.example:443" }, /leave out the port 443/],
    ["origin", { origin: "HTTPS://a.example" }, /lower case/],
    // credentials
    ["origin", { credentials: true }, /cannot be "\*" with credentials/],
    ["origin", { origin: ["*"], credentials: true }, /list the origins/],
    ["origin", { origin: "http://a.example", credentials: true }, /allowInsecureOrigins: true/],
    ["origin[0]", { origin: ["http://10.0.0.1"], credentials: true }, /not secure/],
    ["origin", { origin: "https://*.com", credentials: true }, /every site under \.com/],
    [
      "origin",
      { origin: "https://*.com", credentials: true, allowInsecureOrigins: true },
      /every site under/,
    ],
    ["origin", { origin: /^https?:\/\/a\.example$/, credentials: true }, /"http:\/\/a\.example".*not secure/],
    ["origin[1]", { origin: [A, /^https:\/\/.+$/], credentials: true }, /foreign sites/],
    // entries next to a *
    ["origin[1]", { origin: ["*", "a.example"] }, /begin with a scheme/],
    ["origin[1]", { origin: ["*", /a/] }, /anchored/],
    ["origin[0]", { origin: [undefined, "*"] }, /an origin such as/],
    ["origin", { origin: ["*", A], credentials: true }, /cannot be "\*" with credentials/],
    ["methods", { methods: ["*", "patch"] }, /write "PATCH"/],
    ["methods", { methods: "*, TRACE" }, /no page can send/],
    ["allowedHeaders", { allowedHeaders: ["*", "Cookie"] }, /no page can send/],
    ["exposedHeaders", { exposedHeaders: ["*", "Set-Cookie"] }, /no page can read/],
    ["exposedHeaders", { origin: A, credentials: true, exposedHeaders: ["ETag", "*"] }, /list the headers/],
    ["credentials", { origin: A, credentials: "true" }, /true or false/],
    ["exposedHeaders", { origin: A, credentials: true, exposedHeaders: "*" }, /list the headers/],
    ["allowNull", { origin: A, credentials: true, allowNull: true }, /with credentials/],
    ["allowNull", { allowNull: 1 }, /true or false/],
    // methods and headers
    ["methods", { methods: 5 }, /list of strings/],
    ["methods", { methods: ["GET", 5] }, /list of strings/],
    ["methods", { methods: "GET,,PUT" }, /empty name/],
    ["methods", { methods: ["patch"] }, /write "PATCH"/],
    ["methods", { methods: ["TRACE"] }, /no page can send/],
    ["methods", { methods: ["connect"] }, /no page can send/],
    ["methods", { methods: ["GE T"] }, /no method/],
    ["allowedHeaders", { allowedHeaders: ["Cookie"] }, /no page can send/],
    ["allowedHeaders", { allowedHeaders: ["Sec-Fetch-Mode"] }, /no page can send/],
    ["allowedHeaders", { allowedHeaders: "Access-Control-Allow-Origin" }, /a response header/],
    ["allowedHeaders", { allowedHeaders: ["X A"] }, /no header name/],
    ["allowedHeaders", { allowedHeaders: true }, /list of strings/],
    ["exposedHeaders", { exposedHeaders: "Set-Cookie" }, /no page can read/],
    ["exposedHeaders", { exposedHeaders: "Origin" }, /a request header/],
    ["exposedHeaders", { exposedHeaders: ["Access-Control-Max-Age"] }, /browser itself/],
    // numbers and choices
    ["maxAge", { maxAge: -1 }, /seconds from 0 to 86400/],
    ["maxAge", { maxAge: 86_401 }, /seconds/],
    ["maxAge", { maxAge: "600" }, /seconds/],
    ["maxAge", { maxAge: 1.5 }, /seconds/],
    ["optionsSuccessStatus", { optionsSuccessStatus: 302 }, /from 200 to 299/],
    ["shortCircuit", { shortCircuit: "none" }, /"all", "preflight"/],
    ["shortCircuit", { shortCircuit: "preflights" }, /Did you mean "preflight"/],
    ["explain", { explain: "yes" }, /true or false/],
  ])("%s: %p is refused", (option, options, reason) => {
    const [problem] = refused(options).problems;
    expect(problem?.option).toBe(option);
    expect(problem?.reason).toMatch(reason);
  });

  it.each([
    [{ origin: "*", maxAge: 5 }],
    [{ origin: ["*", A] }],
    [{ origin: "http://localhost:3000", credentials: true }],
    [{ origin: "http://127.0.0.1:*", credentials: true }],
    [{ origin: "http://[::1]:3000", credentials: true }],
    [{ origin: "http://*.localhost:*", credentials: true }],
    [{ origin: "http://a.example", credentials: true, allowInsecureOrigins: true }],
    [{ origin: "https://*.a.example", credentials: true }],
    [{ origin: "https://*.com" }],
    [{ origin: "capacitor://localhost" }],
    [{ origin: "chrome-extension://abcdefghijklmnop" }],
    [{ origin: /^(?:https:\/\/a|https:\/\/b)$/ }],
    [{ origin: (origin: string) => origin === A }],
    [{ origin: async (_origin: string, req: { path: string }) => req.path === "/" }],
    [{ methods: "GET, put", allowedHeaders: "X-A,x-b", exposedHeaders: [] }],
    [{ methods: undefined, maxAge: undefined, credentials: undefined, explain: undefined }],
  ])("%p is fine", (options) => {
    expect(() => cors(options as never)).not.toThrow();
  });

  it("a * in a list allows everything, whatever else is listed", async () => {
    const made = app({
      origin: [A, "*"],
      methods: ["PUT", "*"],
      allowedHeaders: ["X-A", "*"],
      exposedHeaders: ["ETag", "*"],
    });
    const asked = { ...PREFLIGHT, Origin: B, "Access-Control-Request-Headers": "x-z" };
    const preflight = await request(made).options("/").set(asked).expect(200);
    expect(granted(preflight.headers)).toEqual({
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "*",
      "access-control-allow-headers": "*",
      "access-control-expose-headers": "*",
    });
    expect((await request(made).get("/").set("Origin", B)).headers).not.toHaveProperty("vary");
  });

  describe("changed after the handler was made, the options change nothing:", () => {
    const ask = async (made: ReturnType<typeof app>) => {
      const asked = { ...PREFLIGHT, "Access-Control-Request-Headers": "x-a" };
      const allowed = await request(made).options("/").set(asked);
      const refused = await request(made)
        .options("/")
        .set({ ...asked, Origin: B });
      return [allowed.status, granted(allowed.headers), refused.status, refused.text];
    };

    it("the object and its lists", async () => {
      const options = {
        origin: [A] as string | string[],
        methods: ["PUT"],
        allowedHeaders: ["X-A"],
        exposedHeaders: ["ETag"],
        credentials: false,
        maxAge: 5,
        optionsSuccessStatus: 200,
        explain: false,
      };
      const { origin, methods, allowedHeaders, exposedHeaders } = options;
      const made = app(options);
      const before = await ask(made);
      expect(before).toMatchObject([200, { "access-control-allow-headers": "X-A" }, 403, ""]);
      for (const list of [methods, allowedHeaders, exposedHeaders]) list.splice(0, 1, "X-Other");
      (origin as string[]).splice(0, 1, B);
      Object.assign(options, { origin: "*", methods: [], allowedHeaders: [], exposedHeaders: [] });
      Object.assign(options, { credentials: true, maxAge: 6, optionsSuccessStatus: 201, explain: true });
      expect(await ask(made)).toEqual(before);
    });

    it("a RegExp", async () => {
      const origin = /^https:\/\/a\.example$/;
      const made = app({ origin, explain: false });
      const before = await ask(made);
      expect(before).toMatchObject([204, { "access-control-allow-origin": A }, 403, ""]);
      origin.exec = () => null; // which RegExp.prototype.test would call
      origin.compile("^https://b\\.example$");
      expect(await ask(made)).toEqual(before);
    });
  });

  it("reports all problems together", () => {
    expect(refused({ origin: ["x", "y"], methods: "patch", maxAge: -1, nope: 1 }).problems).toHaveLength(5);
  });

  function refused(options: unknown): ConfigError {
    try {
      cors(options as never);
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    throw new Error("was accepted");
  }
});

describe("remedies", () => {
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

  const label = fc.constantFrom(
    "app",
    "www",
    "example",
    "shop",
    "xn--bcher-kva",
    "3d",
    "4f2a1b3c9d8e",
    "a-b",
  );
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
    "the scheme's own port": (o) =>
      /:\d+$/.test(o) ? undefined : `${o}:${o.startsWith("https:") ? 443 : 80}`,
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
      { numRuns: casesOf(100) },
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
      { numRuns: casesOf(300) },
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
      { numRuns: casesOf(40) },
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
});
