import "../../src/index.js"; // loaded here, for what a test loads counts for its time
import express5, { type Express, type RequestHandler } from "express";
import request from "supertest";
import { type SecurityHeadersOptions, securityHeaders } from "../../src/security-headers/index.js";
import { expressVersions } from "../support/express.js";
import { blocks } from "../support/markdown.js";
import { closeServers, listen } from "../support/server.js";
import { runSnippet } from "../support/snippet.js";
import { appWith, get, headersWith, onlyOurs } from "./support.js";

describe("by path", () => {
  const examples = blocks("docs/security-headers.md").filter(({ code }) => code.includes('"/api"'));

  it("there are two examples of a policy by path", () => {
    expect(examples).toHaveLength(2);
  });

  describe.each(examples.map(({ place, code }) => [place, code]))("the example %s", (_place, code) => {
    it("sends the API's headers on the API, and the pages' headers on pages and the 404", async () => {
      const app = (await runSnippet(code)) as Express;
      const api = await request(app).get("/api/orders").expect(200);
      expect(onlyOurs(api.headers)).toEqual(onlyOurs(await headersWith({ preset: "api" })));
      expect(api.headers["cache-control"]).toBe("no-store");

      const page = await request(app).get("/").expect(200);
      const preset = code.includes('"helmet"') ? "helmet" : "page";
      const plain = (headers: Record<string, string>) =>
        JSON.parse(JSON.stringify(onlyOurs(headers)).replace(/nonce-[^']+/g, "nonce-*"));
      expect(plain(page.headers)).toEqual(plain(await headersWith({ preset })));

      const missing = await request(app).get("/nothing").expect(404);
      expect(missing.headers["x-frame-options"]).toBe(page.headers["x-frame-options"]);
    });
  });
});

describe("in mounted apps", () => {
  afterEach(closeServers);

  const variants: [string, SecurityHeadersOptions | undefined][] = [
    ["the defaults", undefined],
    ["preset helmet", { preset: "helmet" }],
    ["no policy", { contentSecurityPolicy: false }],
    ["a report-only policy", { contentSecurityPolicy: { reportOnly: true } }],
    ["a nonce", { preset: "page" }],
    ["override false", { override: false }],
  ];

  describe.each(expressVersions)("on %s", (_version, express) => {
    const app = (...handlers: RequestHandler[]): Express => {
      const made = express();
      for (const handler of handlers) made.use(handler);
      return made;
    };
    const ok: RequestHandler = (_req, res) => void res.send("ok");
    const ended: RequestHandler = (_req, res) =>
      void res.writeHead(200, { "Content-Type": "text/plain" }).end("ok");

    describe.each(variants)("with %s, X-Powered-By is gone", (_name, options) => {
      it.each<[string, (mw: RequestHandler) => Express]>([
        ["of an app mounted later", (mw) => app(mw, app(ok))],
        ["of an app mounted at a path", (mw) => app(mw).use("/deep", app(ok)) as Express],
        ["of an app in an app in an app", (mw) => app(mw, app(app(app(ended))))],
        [
          "of an app mounted before, which hands the request on",
          (mw) =>
            app(
              app((_req, _res, next) => next()),
              mw,
              ok,
            ),
        ],
        ["of a mounted app that has it itself", (mw) => app(app(mw, ok))],
        ["of an app in a mounted app that has it itself", (mw) => app(app(mw, app(ended)))],
        ["of a mounted app's own 404", (mw) => app(mw, app())],
        [
          "of a mounted app's own 500",
          (mw) =>
            app(
              mw,
              app(() => {
                throw Object.assign(new Error("x"), { status: 503 });
              }),
            ),
        ],
        [
          "of an app of the other Express",
          (mw) => app(mw).use(((req, res) => foreign(ok)(req, res)) as RequestHandler),
        ],
      ])("%s", async (_where, made) => {
        jest.spyOn(console, "error").mockImplementation(() => {});
        const { headers } = await request(made(securityHeaders(options)))
          .get("/deep")
          .ok(() => true);
        jest.restoreAllMocks();
        expect(headers).not.toHaveProperty("x-powered-by");
        expect(headers).toHaveProperty("x-content-type-options", "nosniff");
      });
    });

    const foreign = (handler: RequestHandler) => {
      const [, other] = expressVersions.find(([, one]) => one !== express)!;
      return other().use(handler as never) as unknown as (req: unknown, res: unknown) => void;
    };

    it("a handler's own X-Powered-By stays", async () => {
      const own: RequestHandler = (_req, res) => void res.set("X-Powered-By", "steam").send("ok");
      const { headers } = await request(app(securityHeaders(), app(own))).get("/");
      expect(headers["x-powered-by"]).toBe("steam");
    });

    it("an app with the setting off sends none", async () => {
      const quiet = app(ok).disable("x-powered-by");
      const { headers } = await request(app(securityHeaders(), quiet)).get("/");
      expect(headers).not.toHaveProperty("x-powered-by");
    });
  });

  it("X-Powered-By of an Express app inside a plain node:http handler is removed", async () => {
    const handler = securityHeaders({ contentSecurityPolicy: false });
    const below = express5().use((_req, res) => void res.send("ok"));
    const { url } = await listen((req, res) => handler(req as never, res as never, () => below(req, res)));
    expect((await request(url).get("/").expect(200)).headers).not.toHaveProperty("x-powered-by");
  });
});

describe("used a second time", () => {
  const POLICY = "content-security-policy";

  it.each([
    [[{}, {}]],
    [[{}, undefined]],
    [[{}, { override: true }]],
  ])("one that names nothing changes nothing: %j", async (options) => {
    expect(onlyOurs(await headersWith(options as never, true))).toEqual(
      onlyOurs(await headersWith({}, true)),
    );
  });

  it("changes only the header that it names", async () => {
    const first = {
      preset: "page",
      contentSecurityPolicy: { nonce: false, directives: { scriptSrc: "'self'" } },
    } as const;
    const before = onlyOurs(await headersWith(first, true));
    const after = onlyOurs(await headersWith([first, { frameOptions: "sameorigin" }], true));
    expect(after).toEqual({ ...before, "x-frame-options": "sameorigin" });
  });

  it("false takes the header away", async () => {
    const off = {
      referrerPolicy: false,
      frameOptions: false,
      strictTransportSecurity: false,
      crossOriginOpenerPolicy: false,
      crossOriginResourcePolicy: false,
      permissionsPolicy: false,
      originAgentCluster: false,
      contentSecurityPolicy: false,
      reportingEndpoints: false,
    } as const;
    const first = { preset: "page", reportingEndpoints: { csp: "https://r.example" } } as const;
    expect(onlyOurs(await headersWith([first, off], true))).toEqual({ "x-content-type-options": "nosniff" });
  });

  it("replaces the policy as a whole; a report-only policy does not replace it, and false removes both", async () => {
    const route = { contentSecurityPolicy: { directives: { imgSrc: ["*"] } } } as const;
    const reported = {
      contentSecurityPolicy: { reportOnly: true, directives: { imgSrc: ["'none'"] } },
    } as const;
    const first = { contentSecurityPolicy: { directives: { fontSrc: ["*"] } } } as const;
    expect((await headersWith([first, route]))[POLICY]).toBe((await headersWith(route))[POLICY]);

    const headers = await headersWith([first, reported]);
    expect(headers[POLICY]).toMatch(/font-src \*$/);
    expect(headers["content-security-policy-report-only"]).toMatch(/img-src 'none'$/);

    const none = await headersWith([first, reported, { contentSecurityPolicy: false }]);
    expect(none).not.toHaveProperty(POLICY);
    expect(none).not.toHaveProperty("content-security-policy-report-only");
  });

  it("X-Frame-Options goes with a frame-ancestors that it names", async () => {
    const embedded = {
      contentSecurityPolicy: { directives: { frameAncestors: ["https://partner.example"] } },
    };
    expect(await headersWith([{}, embedded])).not.toHaveProperty("x-frame-options");
    const other = { contentSecurityPolicy: { directives: { imgSrc: ["*"] } } };
    expect((await headersWith([{ frameOptions: "sameorigin" }, other]))["x-frame-options"]).toBe(
      "sameorigin",
    );
  });

  it("a preset names every header", async () => {
    const api = await headersWith([{ preset: "page" }, { preset: "api" }], true);
    expect(onlyOurs(api)).toEqual(onlyOurs(await headersWith({ preset: "api" }, true)));
    expect(api["cache-control"]).toBe("no-store");
    expect(await headersWith([{ preset: "api" }, { preset: "common" }])).not.toHaveProperty("cache-control");
  });

  it("follows TLS as the first does", async () => {
    const route = { contentSecurityPolicy: {}, strictTransportSecurity: { maxAge: 5 } };
    const secure = await headersWith([{}, route], true);
    expect(secure[POLICY]).toMatch(/upgrade-insecure-requests$/);
    expect(secure["strict-transport-security"]).toBe("max-age=5; includeSubDomains");
    const plain = await headersWith([{}, route]);
    expect(plain[POLICY]).not.toMatch(/upgrade-insecure-requests/);
    expect(plain).not.toHaveProperty("strict-transport-security");
  });

  it("brings a nonce to a route, and keeps the one that is there", async () => {
    const route = { contentSecurityPolicy: { nonce: true } };
    const seen: unknown[] = [];
    const app = appWith([
      securityHeaders({ preset: "page" }),
      (_req, res, next) => {
        seen.push(res.locals.cspNonce);
        next();
      },
      securityHeaders(route),
      (_req, res, next) => {
        seen.push(res.locals.cspNonce);
        next();
      },
    ]);
    const { headers } = await get(app);
    expect(seen[0]).toBe(seen[1]);
    expect(headers[POLICY]).toContain(`'nonce-${seen[1]}'`);
    expect((await headersWith([{}, route]))[POLICY]).toContain("'nonce-");
  });

  it("is what Express's own pages are repaired with", async () => {
    const first = securityHeaders();
    const embedded = securityHeaders({
      contentSecurityPolicy: {
        directives: { frameAncestors: ["https://partner.example"], formAction: null },
      },
    });
    const express = (await import("express")).default;
    const app = express();
    app.use(first, embedded);
    const { headers } = await get(app as never);
    expect(headers[POLICY]).toBe(
      "default-src 'none'; frame-ancestors https://partner.example; base-uri 'self'",
    );
  });

  it("with override: false it leaves even what the first has set", async () => {
    const headers = await headersWith([
      {},
      { frameOptions: false, referrerPolicy: "no-referrer", override: false },
    ]);
    expect(headers).toMatchObject({
      "x-frame-options": "deny",
      "referrer-policy": "origin-when-cross-origin",
    });
  });

  it("the same handler twice is the same as once", async () => {
    const handler = securityHeaders({ preset: "api", frameOptions: "sameorigin" });
    const once = (await get(appWith([handler]))).headers as Record<string, string>;
    const twice = (await get(appWith([handler, handler]))).headers as Record<string, string>;
    expect(onlyOurs(twice)).toEqual(onlyOurs(once));
  });
});

describe("behind an untrusted proxy", () => {
  const CODE = "PORTICO_HSTS_NOT_SENT";
  let warned: jest.SpyInstance;
  beforeEach(() => {
    warned = jest.spyOn(process, "emitWarning").mockImplementation(() => {});
  });
  afterEach(async () => {
    warned.mockRestore();
    await closeServers();
  });

  /** A new copy of the modules, which has not warned yet. */
  function freshly(): (options?: SecurityHeadersOptions) => RequestHandler {
    let made!: typeof import("../../src/security-headers/index.js");
    jest.isolateModules(() => {
      made = jest.requireActual("../../src/security-headers/index.js");
    });
    return made.securityHeaders;
  }
  const codes = () => warned.mock.calls.map(([, options]) => (options as { code: string }).code);

  describe.each(expressVersions)("on %s", (_version, express) => {
    const app = (trust: unknown, ...handlers: RequestHandler[]) => {
      const made = express();
      made.set("trust proxy", trust);
      for (const handler of handlers) made.use(handler);
      return made.use((_req, res) => void res.send("ok"));
    };
    const ask = async (made: ReturnType<typeof app>, proto?: string) => {
      const asked = request(made).get("/");
      return (await (proto === undefined ? asked : asked.set("X-Forwarded-Proto", proto))).headers;
    };

    it.each([
      "production",
      "development",
    ])("in %s an untrusted peer that says https is warned of, once per process", async (env) => {
      const before = process.env.NODE_ENV;
      process.env.NODE_ENV = env;
      try {
        const securityHeaders = freshly();
        const one = app(false, securityHeaders());
        const other = app("10.0.0.1", securityHeaders({ preset: "page" }));
        for (const made of [one, other, one]) {
          expect(await ask(made, "https")).not.toHaveProperty("strict-transport-security");
        }
        expect(codes()).toEqual([CODE]);
        expect(warned.mock.calls[0]![0]).toMatch(/app\.set\("trust proxy".*strictTransportSecurity: false/);
      } finally {
        process.env.NODE_ENV = before;
      }
    });

    it.each(["https, http", " https ", "https,"])("so is one that says %j", async (proto) => {
      await ask(app(false, freshly()()), proto);
      expect(codes()).toEqual([CODE]);
    });

    it.each<[string, unknown, SecurityHeadersOptions | undefined, string | undefined]>([
      ["a trusted proxy says https", true, undefined, "https"],
      ["a trusted proxy says http", true, undefined, "http"],
      ["an untrusted peer says http", false, undefined, "http"],
      ["an untrusted peer says http for the first hop", false, undefined, "http, https"],
      ["an untrusted peer says another thing", false, undefined, "httpsomething"],
      ["no X-Forwarded-Proto", false, undefined, undefined],
      [
        "the header is off, as behind a proxy that sends it",
        false,
        { strictTransportSecurity: false },
        "https",
      ],
      ["the header is sent over http too, as helmet does", false, { preset: "helmet" }, "https"],
    ])("nothing is said where %s", async (_name, trust, options, proto) => {
      await ask(app(trust, freshly()(options)), proto);
      expect(codes()).toEqual([]);
    });

    it("a second one on a route that turns the header on warns as the first does", async () => {
      const securityHeaders = freshly();
      const off = securityHeaders({ strictTransportSecurity: false });
      await ask(app(false, off, securityHeaders({ frameOptions: "deny" })), "https");
      expect(codes()).toEqual([]);
      await ask(app(false, off, securityHeaders({ strictTransportSecurity: {} })), "https");
      expect(codes()).toEqual([CODE]);
    });
  });

  it("outside Express, where no proxy is trusted, the warning says so", async () => {
    const handler = freshly()();
    const { url } = await listen((req, res) => handler(req as never, res as never, () => res.end()));
    await request(url).get("/").set("X-Forwarded-Proto", "https");
    expect(codes()).toEqual([CODE]);
    expect(warned.mock.calls[0]![0]).toMatch(/outside Express no proxy is trusted/);
  });

  it("a hostile value is not repeated, and costs no time", async () => {
    const handler = freshly()();
    const { url } = await listen((req, res) => handler(req as never, res as never, () => res.end()));
    await request(url)
      .get("/")
      .set("X-Forwarded-Proto", `https,${"\u00ff".repeat(4_000)}`);
    await request(url).get("/").set("X-Forwarded-Proto", " ".repeat(8_000));
    expect(warned).toHaveBeenCalledTimes(1);
    expect(warned.mock.calls[0]![0]).toMatch(/^[\x20-\x7e…]{1,600}$/);
  });
});
