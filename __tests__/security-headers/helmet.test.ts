import { readFileSync } from "node:fs";
import https from "node:https";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import helmet, { type HelmetOptions } from "helmet";
import request from "supertest";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { FOREIGN, FOREIGN_POLICY } from "../../src/security-headers/foreign.js";
import { REFERRER_POLICIES } from "../../src/security-headers/header-options.js";
import { type SecurityHeadersOptions, securityHeaders } from "../../src/security-headers/index.js";
import { certificate } from "../support/certificate.js";
import { expressVersions } from "../support/express.js";
import { blocks, root } from "../support/markdown.js";
import { casesOf } from "../support/soak.js";
import { appWith, get, headersWith, onlyOurs, parsePolicy } from "./support.js";

describe("a policy taken over from helmet", () => {
  function problemsOf(options: unknown): ConfigError["problems"] {
    try {
      securityHeaders(options as never);
      return [];
    } catch (error) {
      if (error instanceof ConfigError) return error.problems;
      throw error;
    }
  }

  /** The names in helmet's own declaration of its function: one for each header, old names too. */
  function helmetsOptions(): string[] {
    const declared = readFileSync(require.resolve("helmet").replace(/index\.cjs$/, "index.d.cts"), "utf8");
    const [, members] = /^type Helmet = \{(.*?)^\}/ms.exec(declared)!;
    return [...members!.matchAll(/^\s*(\w+): typeof /gm)].map(([, name]) => name!);
  }

  it("every option that helmet declares is an option here, or the error says what to write", () => {
    const names = helmetsOptions();
    expect(names.length).toBeGreaterThan(15);
    for (const name of names) {
      const codes = problemsOf({ [name]: undefined }).map(({ code }) => code);
      const known = codes.length === 0;
      expect([name, codes]).toEqual([name, known ? [] : ["ERR_PORTICO_FOREIGN_OPTION"]]);
      expect([name, known]).toEqual([name, !namesIn(FOREIGN.helmet!).some(([other]) => other === name)]);
    }
  });

  it.each(namesIn(FOREIGN_POLICY.helmet!))("so is contentSecurityPolicy.%s", (name, instead) => {
    const [problem] = problemsOf({ contentSecurityPolicy: { [name]: true } });
    expect(problem).toMatchObject({
      code: "ERR_PORTICO_FOREIGN_OPTION",
      option: `contentSecurityPolicy.${name}`,
    });
    expect(problem!.reason).toContain(instead);
  });

  it.each<[string, unknown, unknown]>([
    ["referrerPolicy", { policy: "no-referrer" }, "no-referrer"],
    ["referrerPolicy", { policy: ["origin", "no-referrer"] }, ["origin", "no-referrer"]],
    ["frameOptions", { action: "deny" }, "deny"],
    ["frameOptions", { action: "SAMEORIGIN" }, "sameorigin"],
    ["frameOptions", { action: "same-origin" }, "sameorigin"],
    ["crossOriginOpenerPolicy", { policy: "unsafe-none" }, "unsafe-none"],
    ["crossOriginResourcePolicy", { policy: "same-site" }, "same-site"],
    ["crossOriginEmbedderPolicy", { policy: "require-corp" }, "require-corp"],
  ])("%s: %j is answered with the value in our form, which is accepted", (option, theirs, ours) => {
    const [problem, ...more] = problemsOf({ [option]: theirs });
    expect(more).toEqual([]);
    expect(problem!.reason).toContain(`That is helmet's form; here write ${option}: ${JSON.stringify(ours)}`);
    expect(problemsOf({ [option]: ours })).toEqual([]);
  });

  it("a value that is not in helmet's form gets no such advice", () => {
    for (const [option, value] of [
      ["frameOptions", { action: "maybe" }],
      ["referrerPolicy", { policy: 5 }],
      ["crossOriginOpenerPolicy", {}],
    ] as const) {
      expect(problemsOf({ [option]: value })[0]!.reason).not.toContain("helmet");
    }
  });

  it("the steps in README for coming from helmet change nothing for pages", () => {
    const diff = blocks("README.md").find(
      ({ info, code }) => info === "diff" && code.includes("-import helmet"),
    )!;
    expect(diff.code).toContain('+  headers: { preset: "helmet" },');
    expect(readFileSync(`${root}/README.md`, "utf8")).toContain("docs/security-headers.md#from-helmet");
  });
});

describe("beside helmet", () => {
  /** The same settings as options of both packages; obsolete headers of helmet are off. */
  interface Wish {
    readonly directives: Record<string, string[]>;
    readonly reportOnly: boolean;
    readonly referrerPolicy: (typeof REFERRER_POLICIES)[number][];
    readonly frameOptions: "deny" | "sameorigin" | false;
    readonly maxAge: number;
    readonly includeSubDomains: boolean;
    readonly opener: "same-origin" | "same-origin-allow-popups" | "unsafe-none" | false;
    readonly resource: "same-origin" | "same-site" | "cross-origin" | false;
    readonly embedder: "require-corp" | "credentialless" | false;
    readonly originAgentCluster: boolean;
  }

  const sources = fc.uniqueArray(
    fc.constantFrom("'self'", "https:", "data:", "https://a.example", "*.b.example:8443"),
    {
      minLength: 1,
    },
  );
  const off = <T>(values: fc.Arbitrary<T>) => fc.oneof(values, fc.constant<false>(false));
  const wishes: fc.Arbitrary<Wish> = fc.record({
    directives: fc.record({
      defaultSrc: sources,
      baseUri: sources,
      formAction: sources,
      frameAncestors: fc.constantFrom(["'none'"], ["'self'"]),
      objectSrc: sources,
      imgSrc: sources,
      "script-src": sources,
    }),
    reportOnly: fc.boolean(),
    referrerPolicy: fc.uniqueArray(fc.constantFrom(...REFERRER_POLICIES), { minLength: 1 }),
    frameOptions: off(fc.constantFrom("deny" as const, "sameorigin")),
    maxAge: fc.double({ min: 0, max: 1e9, noNaN: true }),
    includeSubDomains: fc.boolean(),
    opener: off(fc.constantFrom("same-origin" as const, "same-origin-allow-popups", "unsafe-none")),
    resource: off(fc.constantFrom("same-origin" as const, "same-site", "cross-origin")),
    embedder: off(fc.constantFrom("require-corp" as const, "credentialless")),
    originAgentCluster: fc.boolean(),
  });

  it("sends the same headers as helmet over TLS, for all settings that both have", async () => {
    await fc.assert(
      fc.asyncProperty(wishes, async (wish) => {
        const ours = (await get(appWith([securityHeaders(inOurs(wish))]), true)).headers;
        const theirs = (await get(appWith([helmet(inHelmets(wish)) as never]), true)).headers;
        expect(normal(ours)).toEqual(normal(theirs));
      }),
      { numRuns: casesOf(200) },
    );
  });

  function inOurs(wish: Wish): SecurityHeadersOptions {
    return {
      contentSecurityPolicy: {
        directives: { ...wish.directives, upgradeInsecureRequests: null },
        reportOnly: wish.reportOnly,
      },
      referrerPolicy: wish.referrerPolicy,
      frameOptions: wish.frameOptions,
      strictTransportSecurity: { maxAge: wish.maxAge, includeSubDomains: wish.includeSubDomains },
      crossOriginOpenerPolicy: wish.opener,
      crossOriginResourcePolicy: wish.resource,
      crossOriginEmbedderPolicy: wish.embedder,
      originAgentCluster: wish.originAgentCluster,
    };
  }

  function inHelmets(wish: Wish): HelmetOptions {
    const policy = <T>(value: T | false) => value && { policy: value };
    return {
      contentSecurityPolicy: { useDefaults: false, directives: wish.directives, reportOnly: wish.reportOnly },
      referrerPolicy: { policy: wish.referrerPolicy },
      frameguard: wish.frameOptions && { action: wish.frameOptions },
      strictTransportSecurity: { maxAge: wish.maxAge, includeSubDomains: wish.includeSubDomains },
      crossOriginOpenerPolicy: policy(wish.opener),
      crossOriginResourcePolicy: policy(wish.resource),
      crossOriginEmbedderPolicy: policy(wish.embedder),
      originAgentCluster: wish.originAgentCluster,
      xDnsPrefetchControl: false,
      xDownloadOptions: false,
      xPermittedCrossDomainPolicies: false,
    };
  }

  /** helmet writes X-Frame-Options in capitals, and no space behind a policy's semicolons: both mean the same. */
  function normal(headers: Record<string, string>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(onlyOurs(headers)).map(([name, value]) => [
        name,
        name === "x-frame-options" ? value.toLowerCase() : value.replace(/; ?/g, ";"),
      ]),
    );
  }
});

describe("the preset of helmet", () => {
  const POLICY = "content-security-policy";

  describe.each(
    expressVersions,
  )("on %s, preset: 'helmet' sends what the installed helmet sends", (_v, express) => {
    type Handler = import("express").RequestHandler;
    function app(handler: Handler, trust = false) {
      const made = express();
      made.set("trust proxy", trust);
      made.use(handler);
      made.get("/", (_req, res) => void res.send("<p>page</p>"));
      made.get("/json", (_req, res) => void res.json({ page: false }));
      made.get("/moved", (_req, res) => res.redirect("/"));
      made.get("/failed", (_req, res) => void res.status(500).end());
      return made;
    }
    const ours = () => securityHeaders({ preset: "helmet" });
    const theirs = () => helmet() as unknown as Handler;

    it.each([
      "/",
      "/json",
      "/moved",
      "/failed",
    ])("over http, and behind a proxy with TLS: %s", async (path) => {
      for (const [trust, proto] of [
        [false, undefined],
        [false, "https"],
        [true, "https"],
        [true, "http"],
      ] as const) {
        const [our, their] = await Promise.all(
          [ours(), theirs()].map(async (handler) => {
            const asked = request(app(handler, trust)).get(path).redirects(0);
            const { headers } = await (proto === undefined ? asked : asked.set("X-Forwarded-Proto", proto));
            return { ...headers, date: "" };
          }),
        );
        expect(our).toEqual(their);
        expect(our).toHaveProperty("x-permitted-cross-domain-policies", "none");
      }
    });

    it("over https", async () => {
      const { key, cert } = await certificate();
      const answers = [ours(), theirs()].map(async (handler) => {
        const server = https.createServer({ key, cert }, app(handler));
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const { port } = server.address() as AddressInfo;
        const { headers } = await request(`https://127.0.0.1:${port}`).get("/").trustLocalhost();
        await new Promise((resolve) => server.close(resolve));
        return { ...headers, date: "" };
      });
      const [our, their] = await Promise.all(answers);
      expect(our).toEqual(their);
      expect(our).toHaveProperty("strict-transport-security");
    });
  });

  it("an option replaces its header, and the rest stays helmet's", async () => {
    const plain = await headersWith({ preset: "helmet" });
    const changed = await headersWith({
      preset: "helmet",
      referrerPolicy: "same-origin",
      strictTransportSecurity: false,
      contentSecurityPolicy: { directives: { imgSrc: ["'self'", "https://images.example"] } },
    });
    const { "strict-transport-security": _hsts, ...rest } = plain;
    expect({ ...changed, date: "" }).toEqual({
      ...rest,
      date: "",
      "referrer-policy": "same-origin",
      [POLICY]: plain[POLICY]!.replace("img-src 'self' data:", "img-src 'self' https://images.example"),
    });
  });

  it("a report-only policy leaves out the directives that have no effect in it", async () => {
    const headers = await headersWith({ preset: "helmet", contentSecurityPolicy: { reportOnly: true } });
    expect(headers).not.toHaveProperty(POLICY);
    expect(headers["content-security-policy-report-only"]).toMatch(
      /style-src 'self' https: 'unsafe-inline'$/,
    );
  });

  it("on a route it replaces another preset whole, and is replaced whole by one", async () => {
    const helmets = await headersWith({ preset: "helmet" });
    expect({ ...(await headersWith([{ preset: "api" }, { preset: "helmet" }])), date: "" }).toEqual({
      ...helmets,
      date: "",
    });
    const common = await headersWith([{ preset: "helmet" }, { preset: "common" }]);
    expect({ ...common, date: "" }).toEqual({ ...(await headersWith()), date: "" });
  });

  describe("a nonce for scripts or styles only", () => {
    it.each<["script" | "style", SecurityHeadersOptions, string, string[], string, string[]]>([
      [
        "script",
        { preset: "helmet" },
        "script-src",
        ["'self'", "*"],
        "style-src",
        ["'self'", "https:", "'unsafe-inline'"],
      ],
      ["style", {}, "style-src", ["'self'", "*"], "default-src", ["'self'"]],
      ["script", { preset: "page" }, "script-src", ["*", "'strict-dynamic'"], "style-src", ["'self'"]],
    ])("nonce: %j with %j", async (nonce, options, withIt, values, without, others) => {
      const headers = await headersWith({ ...options, contentSecurityPolicy: { nonce } });
      const policy = parsePolicy(headers[POLICY]);
      const shown = (list: string[] | undefined) => list?.map((one) => one.replace(/^'nonce-.{24}'$/, "*"));
      expect(shown(policy[withIt])).toEqual(values);
      expect(policy[without]).toEqual(others);
      expect(headers[POLICY]!.match(/'nonce-/g)).toHaveLength(1);
    });

    it("is added to the elements' own directive too", async () => {
      const directives = { scriptSrcElem: ["'self'"], styleSrcElem: ["'self'"] };
      const headers = await headersWith({ contentSecurityPolicy: { nonce: "script", directives } });
      const policy = parsePolicy(headers[POLICY]);
      expect(policy["script-src-elem"]).toHaveLength(2);
      expect(policy["style-src-elem"]).toEqual(["'self'"]);
    });
  });

  describe("a nonce beside 'unsafe-inline', which it would disable, is a problem", () => {
    type Csp = Exclude<SecurityHeadersOptions["contentSecurityPolicy"], false>;
    const inline = ["'self'", "'unsafe-inline'"];

    it.each<[string, SecurityHeadersOptions["preset"], Csp, RegExp]>([
      [
        "nonce",
        "helmet",
        { nonce: true },
        /preset's style-src; write contentSecurityPolicy\.nonce: "script"/,
      ],
      ["nonce", "helmet", { nonce: "style" }, /write contentSecurityPolicy\.nonce: false/],
      [
        "directives.style-src",
        undefined,
        { nonce: true, directives: { styleSrc: inline } },
        /nonce: "script"/,
      ],
      ["directives.style-src", "page", { directives: { "style-src": inline } }, /nonce: "script"/],
      [
        "directives.script-src",
        undefined,
        { nonce: true, directives: { scriptSrc: inline } },
        /nonce: "style"/,
      ],
      [
        "directives.script-src",
        undefined,
        { nonce: "script", directives: { scriptSrc: inline } },
        /nonce: false/,
      ],
      [
        "directives.script-src-elem",
        undefined,
        { nonce: true, directives: { scriptSrcElem: inline } },
        /remove it/,
      ],
      [
        "directives.style-src-elem",
        undefined,
        { nonce: "style", directives: { styleSrcElem: inline } },
        /remove it/,
      ],
      [
        "directives.default-src",
        undefined,
        { nonce: true, directives: { defaultSrc: inline } },
        /script-src sources of its own/,
      ],
    ])("%s, preset %s, %j", (option, preset, contentSecurityPolicy, remedy) => {
      const { problems } = refused({ preset, contentSecurityPolicy });
      expect(problems.map((problem) => problem.option)).toEqual([`contentSecurityPolicy.${option}`]);
      expect(problems[0]!.reason).toMatch(remedy);
      const named = /nonce: ("script"|"style"|false)/.exec(problems[0]!.reason);
      if (named === null || option === "directives.default-src") return;
      const nonce = JSON.parse(named[1]!) as false | "script" | "style"; // the remedy in the message must be accepted
      expect(() =>
        securityHeaders({ preset, contentSecurityPolicy: { ...contentSecurityPolicy, nonce } }),
      ).not.toThrow();
    });

    it.each<[string, Csp]>([
      [
        "beside 'strict-dynamic' it is the fallback of old browsers",
        { nonce: true, directives: { scriptSrc: ["'strict-dynamic'", ...inline] } },
      ],
      ["without a nonce", { directives: { scriptSrc: inline, styleSrc: inline } }],
      ["in the directive that has no nonce", { nonce: "script", directives: { styleSrc: inline } }],
      ["in the other directive that has no nonce", { nonce: "style", directives: { scriptSrc: inline } }],
      [
        "for attributes, which cannot have a nonce",
        { nonce: true, directives: { styleSrcAttr: ["'unsafe-inline'"] } },
      ],
    ])("but not %s", (_name, contentSecurityPolicy) => {
      expect(() => securityHeaders({ contentSecurityPolicy })).not.toThrow();
    });
  });

  function refused(options: SecurityHeadersOptions): ConfigError {
    try {
      securityHeaders(options);
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    throw new Error("was not refused");
  }
});

/** Names with the same answer share an entry, with spaces between them. */
function namesIn(table: Readonly<Record<string, string>>): [name: string, instead: string][] {
  return Object.entries(table).flatMap(([names, instead]) =>
    names.split(" ").map((name): [string, string] => [name, instead]),
  );
}
