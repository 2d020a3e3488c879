import request from "supertest";
import { type SecurityHeadersOptions, securityHeaders } from "../../src/security-headers/index.js";
import { expressVersions } from "../support/express.js";
import { parsePolicy } from "./support.js";

const POLICY = "content-security-policy";
const REPORT_ONLY = "content-security-policy-report-only";
type Directives = NonNullable<Exclude<SecurityHeadersOptions["contentSecurityPolicy"], false>>["directives"];

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

it("10,000 requests have 10,000 different nonces, and each policy has the nonce of its page", () => {
  const handler = securityHeaders({ preset: "page" });
  const seen = new Set<string>();
  for (let i = 0; i < 10_000; i++) {
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
  expect(seen.size).toBe(10_000);
});
