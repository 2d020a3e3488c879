import fc from "fast-check";
import request from "supertest";
import { isHeaderValue } from "../../src/lib/http/tokens.js";
import { endpointUrlProblem, serializeEndpoints } from "../../src/security-headers/header-options.js";
import { type SecurityHeadersOptions, securityHeaders } from "../../src/security-headers/index.js";
import { serializePermissions } from "../../src/security-headers/permissions-policy.js";
import { expressVersions } from "../support/express.js";
import { casesOf } from "../support/soak.js";
import { anyText } from "../support/text.js";
import { headersWith, onlyOurs, parsePolicy } from "./support.js";

describe("the policy", () => {
  type Policy = NonNullable<Exclude<SecurityHeadersOptions["contentSecurityPolicy"], false>>;
  const POLICY = "content-security-policy";
  const REPORT_ONLY = "content-security-policy-report-only";

  async function policyOf(contentSecurityPolicy: Policy, tls = false): Promise<Record<string, string[]>> {
    return parsePolicy((await headersWith({ contentSecurityPolicy }, tls))[POLICY]);
  }

  it("a directive replaces the preset's of its name, the others stay", async () => {
    const policy = await policyOf({ directives: { defaultSrc: ["https:"], "img-src": "'self' data:" } });
    expect(policy).toEqual({
      "default-src": ["https:"],
      "base-uri": ["'self'"],
      "form-action": ["'self'"],
      "frame-ancestors": ["'none'"],
      "object-src": ["'none'"],
      "img-src": ["'self'", "data:"],
    });
  });

  it("null removes a directive of the preset", async () => {
    expect(await policyOf({ directives: { formAction: null, "object-src": null } })).toEqual({
      "default-src": ["'self'"],
      "base-uri": ["'self'"],
      "frame-ancestors": ["'none'"],
    });
  });

  it.each<[Policy["directives"], boolean, boolean]>([
    [{}, true, true],
    [{}, false, false],
    [{ upgradeInsecureRequests: [] }, true, true],
    [{ upgradeInsecureRequests: [] }, false, false],
    [{ upgradeInsecureRequests: null }, true, false],
  ])("with %j, TLS %p, upgrade-insecure-requests is sent: %p", async (directives, tls, sent) => {
    const policy = await policyOf({ directives: directives! }, tls);
    expect(policy["upgrade-insecure-requests"]).toEqual(sent ? [] : undefined);
  });

  it.each<[string, Policy["directives"], string]>([
    ["trusted types", { "require-trusted-types-for": ["'script'"] }, "require-trusted-types-for 'script'"],
    [
      "their policies",
      { trustedTypes: ["a", "b", "'allow-duplicates'"] },
      "trusted-types a b 'allow-duplicates'",
    ],
    ["a sandbox", { sandbox: ["allow-scripts", "allow-forms"] }, "sandbox allow-scripts allow-forms"],
    ["an empty sandbox", { sandbox: [] }, "sandbox"],
    [
      "a hash",
      { scriptSrc: ["'sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='"] },
      "script-src 'sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='",
    ],
    [
      "a wildcard host and any port",
      { imgSrc: ["https://*.cdn.example:*", "*.b.example"] },
      "img-src https://*.cdn.example:* *.b.example",
    ],
    ["a path", { scriptSrc: ["https://cdn.example/lib/"] }, "script-src https://cdn.example/lib/"],
    ["schemes", { connectSrc: ["wss:", "https:"] }, "connect-src wss: https:"],
    [
      "a port of localhost",
      { connectSrc: ["ws://localhost:5173", "localhost:3000"] },
      "connect-src ws://localhost:5173 localhost:3000",
    ],
    ["report-uri", { reportUri: ["/csp", "https://r.example/csp"] }, "report-uri /csp https://r.example/csp"],
    ["webrtc", { webrtc: ["'block'"] }, "webrtc 'block'"],
    [
      "a strict policy by hash",
      { scriptSrc: ["'strict-dynamic'", "'sha384-abc'"] },
      "script-src 'strict-dynamic' 'sha384-abc'",
    ],
  ])("%s", async (_name, directives, expected) => {
    const sent = (await headersWith({ contentSecurityPolicy: { directives: directives! } }))[POLICY];
    expect(sent!.split("; ")).toContain(expected);
  });

  describe("report-only", () => {
    it("is sent instead of the enforced policy, without directives that have no effect in it", async () => {
      const headers = await headersWith({ contentSecurityPolicy: { reportOnly: true } }, true);
      expect(headers[POLICY]).toBeUndefined();
      expect(headers[REPORT_ONLY]).toMatch(/^default-src 'self'; .*object-src 'none'$/);
    });

    it("does not change X-Frame-Options, because it blocks nothing", async () => {
      const headers = await headersWith({
        contentSecurityPolicy: { reportOnly: true, directives: { frameAncestors: ["'self'"] } },
      });
      expect(headers["x-frame-options"]).toBe("deny");
    });
  });

  describe("reportTo", () => {
    it("is report-to with the name for new browsers, and report-uri with the address for others", async () => {
      const headers = await headersWith({
        reportingEndpoints: { csp: "https://r.example/a;b,c" },
        contentSecurityPolicy: { reportTo: "csp" },
      });
      expect(headers["reporting-endpoints"]).toBe('csp="https://r.example/a;b,c"');
      expect(headers[POLICY]).toMatch(/; report-uri https:\/\/r\.example\/a%3Bb%2Cc; report-to csp$/);
    });
  });

  it.each<[string[] | null, SecurityHeadersOptions["frameOptions"], string | undefined]>([
    [["'none'"], undefined, "deny"],
    [["'self'"], undefined, "sameorigin"],
    [["https://partner.example"], undefined, undefined],
    [["'self'", "https://partner.example"], undefined, undefined],
    [null, undefined, undefined],
    [["'self'"], "deny", "deny"],
    [["https://partner.example"], "sameorigin", "sameorigin"],
    [["'self'"], false, undefined],
  ])("frame-ancestors %j with frameOptions %p gives X-Frame-Options %p", async (ancestors, frameOptions, expected) => {
    const headers = await headersWith({
      frameOptions,
      contentSecurityPolicy: { directives: { frameAncestors: ancestors } },
    });
    expect(headers["x-frame-options"]).toBe(expected);
  });
});

describe("a nonce", () => {
  const POLICY = "content-security-policy";
  const REPORT_ONLY = "content-security-policy-report-only";
  type Directives = NonNullable<
    Exclude<SecurityHeadersOptions["contentSecurityPolicy"], false>
  >["directives"];

  describe.each(expressVersions)("on %s", (_version, express) => {
    function app(...options: SecurityHeadersOptions[]) {
      const made = express();
      for (const one of options) made.use(securityHeaders(one));
      made.get("/", (_req, res) => void res.send(String(res.locals.cspNonce)));
      made.get("/etag", (_req, res) => {
        res.set({ ETag: '"v1"', "Last-Modified": new Date(0).toUTCString() });
        res.send(String(res.locals.cspNonce));
      });
      made.get("/own-cache", (_req, res) => void res.set("Cache-Control", "max-age=9").send("x"));
      return made;
    }
    const nonced = (directives?: Directives): SecurityHeadersOptions => ({
      contentSecurityPolicy: { nonce: true, directives },
    });

    it("the page and the policy have the same one, in script-src and style-src", async () => {
      const { headers, text } = await request(app(nonced())).get("/");
      expect(Buffer.from(text, "base64").length * 8).toBeGreaterThanOrEqual(128);
      expect(text).toMatch(/^[A-Za-z0-9+/]+={0,2}$/);
      expect(parsePolicy(headers[POLICY])).toMatchObject({
        "default-src": ["'self'"],
        "script-src": ["'self'", `'nonce-${text}'`],
        "style-src": ["'self'", `'nonce-${text}'`],
      });
    });

    it.each<[string, Directives, string, string[]]>([
      [
        "a given script-src keeps its sources",
        { scriptSrc: ["https://a.example"] },
        "script-src",
        ["'nonce-*'", "https://a.example"],
      ],
      ["'none' gives way", { scriptSrc: ["'none'"] }, "script-src", ["'nonce-*'"]],
      [
        "'strict-dynamic' has what it needs",
        { scriptSrc: ["'strict-dynamic'"] },
        "script-src",
        ["'nonce-*'", "'strict-dynamic'"],
      ],
      [
        "script-src-elem needs it too",
        { scriptSrcElem: ["'self'"] },
        "script-src-elem",
        ["'self'", "'nonce-*'"],
      ],
      [
        "style-src-elem needs it too",
        { "style-src-elem": ["'self'"] },
        "style-src-elem",
        ["'self'", "'nonce-*'"],
      ],
      ["attributes cannot have one", { styleSrcAttr: ["'none'"] }, "style-src-attr", ["'none'"]],
    ])("%s", async (_name, directives, directive, expected) => {
      const { headers, text } = await request(app(nonced(directives))).get("/");
      expect(parsePolicy(headers[POLICY])[directive]).toEqual(expected.map((one) => one.replace("*", text)));
    });

    it("the enforced and the reported policy share it", async () => {
      const both = app(nonced(), { contentSecurityPolicy: { nonce: true, reportOnly: true } });
      const { headers, text } = await request(both).get("/");
      expect(headers[POLICY]).toContain(`'nonce-${text}'`);
      expect(headers[REPORT_ONLY]).toContain(`'nonce-${text}'`);
    });

    it("two concurrent requests have different nonces", async () => {
      const waiting: (() => void)[] = [];
      const made = express();
      made.use(securityHeaders({ preset: "page" }));
      made.get("/", (_req, res) => {
        const before = String(res.locals.cspNonce);
        waiting.push(() => void res.send(`${before} ${res.locals.cspNonce}`));
        if (waiting.length === 2) for (const go of waiting) go();
      });
      const server = made.listen(0, "127.0.0.1");
      const answers = await Promise.all([request(server).get("/"), request(server).get("/")]);
      await new Promise((resolve) => server.close(resolve));
      const nonces = answers.map(({ headers, text }) => {
        const [before, after] = text.split(" ");
        expect(after).toBe(before);
        expect(headers[POLICY]).toContain(`'nonce-${before}'`);
        return before;
      });
      expect(new Set(nonces).size).toBe(2);
    });

    it("a page with a nonce is private, and revalidated each time", async () => {
      expect((await request(app(nonced())).get("/")).headers["cache-control"]).toBe("private, no-cache");
      expect(
        (await request(app({ preset: "page", cacheControl: "no-store" })).get("/")).headers["cache-control"],
      ).toBe("no-store");
      expect((await request(app(nonced())).get("/own-cache")).headers["cache-control"]).toBe("max-age=9");
      expect((await request(app({})).get("/")).headers).not.toHaveProperty("cache-control");
      const { headers } = await request(app(nonced())).get("/nothing").expect(404);
      expect(headers).not.toHaveProperty("cache-control"); // Express's own page has no nonce
    });

    it.each<[string, Record<string, string>]>([
      ["If-None-Match", { "If-None-Match": '"v1"' }],
      ["If-Modified-Since", { "If-Modified-Since": new Date(1000).toUTCString() }],
      ["If-None-Match: *", { "If-None-Match": "*" }],
    ])("a 304 brings no new nonce to the page stored with the old one: %s", async (_name, condition) => {
      const both = app(nonced(), { contentSecurityPolicy: { nonce: true, reportOnly: true } });
      const { headers } = await request(both).get("/etag").set(condition).expect(304);
      expect(headers).not.toHaveProperty(POLICY);
      expect(headers).not.toHaveProperty(REPORT_ONLY);
      expect(headers["x-frame-options"]).toBe("deny");
      expect((await request(both).get("/etag")).headers[POLICY]).toContain("'nonce-");
    });

    it("a 304 keeps a policy that the handler has set itself", async () => {
      const made = express();
      made.use(securityHeaders({ preset: "page" }));
      made.get("/", (_req, res) => {
        res.set({ ETag: '"v1"', "Content-Security-Policy": "img-src *" }).send("x");
      });
      const { headers } = await request(made).get("/").set("If-None-Match", '"v1"').expect(304);
      expect(headers[POLICY]).toBe("img-src *");
    });
  });

  const requests = casesOf(10_000);
  it(`${requests} requests have ${requests} different nonces, and each policy has the nonce of its page`, () => {
    const handler = securityHeaders({ preset: "page" });
    const seen = new Set<string>();
    for (let i = 0; i < requests; i++) {
      const locals: { cspNonce?: string } = {};
      let policy = "";
      const res = {
        locals,
        headersSent: false,
        setHeader(name: string, value: string) {
          if (name === "Content-Security-Policy") policy = value;
        },
        removeHeader() {},
        writeHead() {},
      };
      handler({ secure: false } as never, res as never, () => {});
      if (policy.split(`'nonce-${locals.cspNonce}'`).length !== 3) throw new Error(policy);
      seen.add(locals.cspNonce!);
    }
    expect(seen.size).toBe(requests);
  });
});

describe("what is serialized", () => {
  const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
  const host = fc.tuple(label, label).map((labels) => labels.join("."));
  const origin = fc.tuple(fc.constantFrom("https://", "http://"), host).map((parts) => parts.join(""));

  it("a permissions policy reads back as it was given", () => {
    const list = fc.oneof(
      fc.constant("*" as const),
      fc.uniqueArray(fc.oneof(fc.constant("self"), origin), { maxLength: 4 }),
    );
    const policies = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/), list, { minKeys: 1 });
    fc.assert(
      fc.property(policies, (policy) => {
        const text = serializePermissions(policy) ?? "";
        expect(isHeaderValue(text)).toBe(true);
        const read = text.split(", ").map((member) => {
          const [feature = "", value = ""] = member.split("=");
          const inner = value.replace(/[()]/g, "");
          const members = inner === "" ? [] : inner.split(" ").map((one) => one.replace(/"/g, ""));
          return [feature, value === "*" ? "*" : members];
        });
        expect(Object.fromEntries(read)).toEqual({ ...policy });
      }),
    );
  });

  it("an endpoint's address, whatever is in it, is refused or reads back as it was given", () => {
    const tail = fc.oneof(anyText(), fc.stringMatching(/^[\x21-\x7e"\\]{0,12}$/));
    fc.assert(
      fc.property(fc.tuple(origin, tail), ([start, end]) => {
        const url = `${start}/${end}`;
        if (endpointUrlProblem(url) !== undefined) return;
        const text = serializeEndpoints({ csp: url }) ?? "";
        expect(isHeaderValue(text)).toBe(true);
        expect(readQuoted(text.slice("csp=".length))).toBe(url);
      }),
      { numRuns: casesOf(1_000) },
    );
  });

  /** RFC 9651 section 4.2.5, letter by letter. */
  function readQuoted(text: string): string {
    let read = "";
    let i = 1;
    for (; text[i] !== '"'; i++) {
      if (text[i] === "\\") i++;
      read += text[i];
    }
    expect([text[0], i]).toEqual(['"', text.length - 1]);
    return read;
  }

  it("a content security policy reads back as it was given, and keeps to its directives", () => {
    const source = fc.oneof(origin, host, fc.constantFrom("'self'", "https:", "data:", "'unsafe-eval'", "*"));
    const names = fc.constantFrom("imgSrc", "font-src", "connectSrc", "media-src", "frameSrc");
    const directives = fc.dictionary(names, fc.array(source, { minLength: 1, maxLength: 4 }));
    fc.assert(
      fc.property(directives, (given) => {
        const sent = policySentWith(given);
        const expected = Object.entries(given).map(([name, values]) => [name.replace("Src", "-src"), values]);
        expect(parsePolicy(sent)).toMatchObject(Object.fromEntries(expected));
        expect(Object.keys(parsePolicy(sent))).toHaveLength(5 + expected.length);
      }),
    );
  });

  it("any value of a directive is refused at the start or makes a valid header", () => {
    const value = fc.oneof(anyText(), fc.stringMatching(/^['a-z*:;,/. -]{0,12}$/));
    fc.assert(
      fc.property(
        fc.constantFrom("img-src", "sandbox", "trusted-types", "report-uri"),
        value,
        (name, text) => {
          let sent: string | undefined;
          try {
            sent = policySentWith({ [name]: [text] });
          } catch {
            return;
          }
          expect(isHeaderValue(sent)).toBe(true);
          expect(Object.keys(parsePolicy(sent))).toHaveLength(6);
        },
      ),
      { numRuns: casesOf(1_000) },
    );
  });

  function policySentWith(directives: object): string {
    let sent = "";
    const res = {
      headersSent: false,
      writeHead() {},
      setHeader(name: string, value: string) {
        if (name === "Content-Security-Policy") sent = value;
      },
      removeHeader() {},
    };
    const handler = securityHeaders({ contentSecurityPolicy: { directives } });
    handler({ secure: false } as never, res as never, () => {});
    return sent;
  }
});

describe("presets", () => {
  const HSTS = "max-age=31536000; includeSubDomains";
  const COMMON = {
    "content-security-policy":
      "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "referrer-policy": "origin-when-cross-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "deny",
    "x-xss-protection": "0",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
  };
  const PAGE = {
    "content-security-policy":
      "default-src 'none'; script-src 'nonce-*' 'strict-dynamic'; style-src 'self' 'nonce-*'; img-src 'self'; " +
      "font-src 'self'; media-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " +
      "frame-ancestors 'none'",
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "deny",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "origin-agent-cluster": "?1",
  };
  const API = {
    "content-security-policy":
      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "deny",
    "cross-origin-resource-policy": "same-origin",
  };

  const upgraded = (headers: Record<string, string>) => ({
    ...headers,
    "content-security-policy": `${headers["content-security-policy"]}; upgrade-insecure-requests`,
    "strict-transport-security": HSTS,
  });

  it.each<[string, SecurityHeadersOptions | undefined, boolean, Record<string, string>]>([
    ["no options, http", undefined, false, COMMON],
    ["no options, TLS", undefined, true, upgraded(COMMON)],
    ["common, http", { preset: "common" }, false, COMMON],
    ["page, http", { preset: "page" }, false, PAGE],
    ["page, TLS", { preset: "page" }, true, upgraded(PAGE)],
    ["api, http", { preset: "api" }, false, API],
    ["api, TLS", { preset: "api" }, true, { ...API, "strict-transport-security": HSTS }],
  ])("%s: exactly these headers with exactly these values", async (_name, options, tls, expected) => {
    const sent = onlyOurs(await headersWith(options, tls));
    for (const [name, value] of Object.entries(sent))
      sent[name] = value.replace(/'nonce-[^']+'/g, "'nonce-*'");
    expect(sent).toEqual(expected);
  });

  it.each<[string, SecurityHeadersOptions, string, string | undefined]>([
    ["a policy", { referrerPolicy: "no-referrer" }, "referrer-policy", "no-referrer"],
    [
      "policies, in their order",
      { referrerPolicy: ["no-referrer", "same-origin"] },
      "referrer-policy",
      "no-referrer,same-origin",
    ],
    ["no policy", { referrerPolicy: false }, "referrer-policy", undefined],
    ["sameorigin", { frameOptions: "sameorigin" }, "x-frame-options", "sameorigin"],
    ["false", { frameOptions: false }, "x-frame-options", undefined],
    [
      "same-origin-allow-popups",
      { crossOriginOpenerPolicy: "same-origin-allow-popups" },
      "cross-origin-opener-policy",
      "same-origin-allow-popups",
    ],
    ["false", { crossOriginOpenerPolicy: false }, "cross-origin-opener-policy", undefined],
    [
      "cross-origin",
      { crossOriginResourcePolicy: "cross-origin" },
      "cross-origin-resource-policy",
      "cross-origin",
    ],
    ["false", { crossOriginResourcePolicy: false }, "cross-origin-resource-policy", undefined],
    [
      "credentialless",
      { crossOriginEmbedderPolicy: "credentialless" },
      "cross-origin-embedder-policy",
      "credentialless",
    ],
    ["true", { originAgentCluster: true }, "origin-agent-cluster", "?1"],
    ["false", { preset: "page", originAgentCluster: false }, "origin-agent-cluster", undefined],
    [
      "a fraction, dropped",
      { strictTransportSecurity: { maxAge: 1.9 } },
      "strict-transport-security",
      "max-age=1; includeSubDomains",
    ],
    [
      "nought",
      { strictTransportSecurity: { maxAge: 0 } },
      "strict-transport-security",
      "max-age=0; includeSubDomains",
    ],
    [
      "its own host only",
      { strictTransportSecurity: { includeSubDomains: false } },
      "strict-transport-security",
      "max-age=31536000",
    ],
    [
      "preload",
      { strictTransportSecurity: { preload: true, maxAge: 63_072_000 } },
      "strict-transport-security",
      "max-age=63072000; includeSubDomains; preload",
    ],
    ["false", { strictTransportSecurity: false }, "strict-transport-security", undefined],
    [
      "features",
      { permissionsPolicy: { camera: [], geolocation: ["self", "https://a.example"], fullscreen: "*" } },
      "permissions-policy",
      'camera=(), geolocation=(self "https://a.example"), fullscreen=*',
    ],
    ["no features", { preset: "page", permissionsPolicy: {} }, "permissions-policy", undefined],
    [
      "a newer feature",
      { permissionsPolicy: { "quantum-entanglement": [] } },
      "permissions-policy",
      "quantum-entanglement=()",
    ],
    ["features off", { preset: "page", permissionsPolicy: false }, "permissions-policy", undefined],
    [
      "endpoints",
      { reportingEndpoints: { default: "https://r.example/a", csp: 'https://r.example/?q="x\\y"' } },
      "reporting-endpoints",
      'default="https://r.example/a", csp="https://r.example/?q=\\"x\\\\y\\""',
    ],
    ["no endpoints", { reportingEndpoints: {} }, "reporting-endpoints", undefined],
    ["no-store", { cacheControl: "no-store" }, "cache-control", "no-store"],
    ["false", { preset: "api", cacheControl: false }, "cache-control", undefined],
    ["false", { contentSecurityPolicy: false }, "content-security-policy", undefined],
  ])("%s: %j", async (_name, options, header, expected) => {
    expect((await headersWith(options, true))[header]).toBe(expected);
  });

  it.each([
    [undefined],
    [{}],
    [Object.create(null)],
    [
      {
        preset: undefined,
        contentSecurityPolicy: undefined,
        strictTransportSecurity: undefined,
        override: undefined,
      },
    ],
    [{ contentSecurityPolicy: {}, strictTransportSecurity: {} }],
    [{ contentSecurityPolicy: { directives: undefined, nonce: undefined, reportTo: undefined } }],
    [
      {
        contentSecurityPolicy: { directives: { imgSrc: undefined } },
        permissionsPolicy: { camera: undefined },
      },
    ],
  ])("%j means the defaults", async (options) => {
    expect(onlyOurs(await headersWith(options as SecurityHeadersOptions))).toEqual(COMMON);
  });

  it("copies its options: changed later they change nothing", async () => {
    const directives = { imgSrc: ["'self'"] };
    const options: SecurityHeadersOptions = { contentSecurityPolicy: { directives } };
    const headers = headersWith(options);
    directives.imgSrc.push("*");
    (options as { frameOptions?: string }).frameOptions = "sameorigin";
    expect((await headers)["content-security-policy"]).toMatch(/img-src 'self'$/);
    expect((await headers)["x-frame-options"]).toBe("deny");
  });
});
