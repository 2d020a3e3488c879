import type { Express } from "express";
import { requestContext } from "../../src/context/index.js";
import type { CsrfOptions } from "../../src/csrf/index.js";
import { csrf } from "../../src/csrf/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { serve } from "../../src/serve/index.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw, until } from "../support/server.js";

afterEach(closeServers);

/** Sends one request over a plain socket: no client adds or changes a header. */
async function ask(app: Express, method: string, fields: Record<string, string>, host = "example.com") {
  const { port } = await listen(app);
  const lines = Object.entries({ Host: host, Connection: "close", "Content-Length": "0", ...fields });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const { text } = await raw(port, `${method} / HTTP/1.1\r\n${head}\r\n`);
  return { status: Number(text.slice(9, 12)), text };
}

describe.each(expressVersions)("%s", (_version, express) => {
  const appWith = (options?: CsrfOptions, set: (app: Express) => void = () => {}) => {
    const app = express();
    set(app);
    app.use(csrf(options));
    app.use((_req, res) => void res.send("reached"));
    return app;
  };

  // The cases of Go's csrf_test.go, as facts.
  it.each([
    ["POST", "same-origin", "", 200],
    ["POST", "none", "", 200],
    ["POST", "cross-site", "", 403],
    ["POST", "same-site", "", 403],
    ["POST", "", "", 200],
    ["POST", "", "https://example.com", 200],
    ["POST", "", "https://attacker.example", 403],
    ["POST", "", "null", 403],
    ["GET", "cross-site", "", 200],
    ["HEAD", "cross-site", "", 200],
    ["OPTIONS", "cross-site", "", 200],
    ["PUT", "cross-site", "", 403],
    // And more of the kind.
    ["QUERY", "cross-site", "", 200],
    ["DELETE", "cross-site", "", 403],
    ["PATCH", "same-site", "", 403],
    ["TRACE", "cross-site", "", 403],
    ["PROPFIND", "cross-site", "", 403],
    ["POST", "Same-Origin", "", 403],
    ["POST", "same-origin, none", "", 403],
    ["POST", "same-orign", "", 403],
    ["POST", "same-origin", "https://attacker.example", 200],
    ["POST", "cross-site", "https://example.com", 403],
    ["POST", "", "http://example.com", 200],
    ["POST", "", "https://example.com:443", 200],
    ["POST", "", "https://example.com:8443", 403],
    ["POST", "", "https://example.com.attacker.example", 403],
    ["POST", "", "https://attacker.example/example.com", 403],
    ["POST", "", "https://example.com@attacker.example", 403],
    ["POST", "", "https://attacker.example@example.com", 403],
    ["POST", "", "ftp://example.com", 403],
    ["POST", "", "example.com", 403],
    ["POST", "", "https://example.com https://attacker.example", 403],
    ["POST", "", "https://", 403],
    ["POST", "", "file://", 403],
  ])("%s with Sec-Fetch-Site %j and Origin %j: %i", async (method, site, origin, status) => {
    const fields = { ...(site && { "Sec-Fetch-Site": site }), ...(origin && { Origin: origin }) };
    expect((await ask(appWith(), method, fields)).status).toBe(status);
  });

  it.each(["Sec-Fetch-Site", "Origin"])("an empty %s counts as present, and is refused", async (name) => {
    expect((await ask(appWith(), "POST", { [name]: "" })).status).toBe(403);
  });

  it.each([
    ["https://trusted.example", "", 200],
    ["https://trusted.example", "cross-site", 200],
    ["https://trusted.example", "nonsense", 200],
    ["https://attacker.example", "", 403],
    ["https://attacker.example", "cross-site", 403],
    ["https://Trusted.example", "cross-site", 403],
    ["https://trusted.example:8443", "cross-site", 403],
    ["http://trusted.example", "cross-site", 403],
    ["https://trusted.example, https://attacker.example", "cross-site", 403],
  ])("with a trusted origin, Origin %j and Sec-Fetch-Site %j: %i", async (origin, site, status) => {
    const app = appWith({ trustedOrigins: ["https://trusted.example"] });
    expect((await ask(app, "POST", { Origin: origin, ...(site && { "Sec-Fetch-Site": site }) })).status).toBe(
      status,
    );
  });

  it.each([
    ["example.com", "http://example.com", 200],
    ["EXAMPLE.com", "http://example.com", 200],
    ["example.com.", "http://example.com", 200],
    ["example.com", "http://example.com.", 200],
    ["example.com:80", "http://example.com", 200],
    ["example.com:443", "https://example.com", 200],
    ["example.com:8080", "http://example.com:8080", 200],
    ["example.com:8080", "http://example.com", 403],
    ["[::1]:3000", "http://[::1]:3000", 200],
    ["[0:0:0:0:0:0:0:1]", "http://[::1]", 200],
    ["", "http://example.com", 403],
    ["example.com, attacker.example", "http://attacker.example", 403],
  ])("host %j and Origin %j: %i", async (host, origin, status) => {
    expect((await ask(appWith(), "POST", { Origin: origin }, host)).status).toBe(status);
  });

  it("X-Forwarded-Host counts from a trusted proxy only", async () => {
    const fields = { Origin: "https://shop.example", "X-Forwarded-Host": "shop.example, inner.example" };
    const trusting = appWith({}, (app) => void app.set("trust proxy", "loopback"));
    expect((await ask(trusting, "POST", fields, "10.0.0.1:3000")).status).toBe(200);
    expect((await ask(appWith(), "POST", fields, "10.0.0.1:3000")).status).toBe(403);
  });

  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json",
    "x/y",
    "",
  ])("every content type is checked: %j", async (type) => {
    const fields = { "Sec-Fetch-Site": "cross-site", ...(type && { "Content-Type": type }) };
    expect((await ask(appWith(), "POST", fields)).status).toBe(403);
  });

  it("a method override does not turn a POST into a GET that passes", async () => {
    const override = (mark: boolean) => (req: never, _res: unknown, next: () => void) => {
      const made = req as { method: string; originalMethod?: string };
      if (mark) made.originalMethod = made.method;
      made.method = "GET";
      next();
    };
    const cases: ((app: Express) => void)[] = [
      (app) => app.use(override(true) as never),
      (app) => app.use(requestContext(), override(false) as never),
    ];
    for (const set of cases)
      expect((await ask(appWith({}, set), "POST", { "Sec-Fetch-Site": "cross-site" })).status).toBe(403);
  });

  it("under serve, an app without requestContext is protected from a method override too", async () => {
    const app = appWith({}, (made) => {
      made.use((req, _res, next) => {
        req.method = "GET";
        next();
      });
    });
    const served = await serve(app, { port: 0, host: "127.0.0.1", signals: false, logger: memoryLogger() });
    try {
      const head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n";
      const port = Number(new URL(served.url).port);
      expect((await raw(port, `${head}Sec-Fetch-Site: cross-site\r\n\r\n`)).text).toMatch(/^HTTP\/1.1 403 /);
      expect((await raw(port, `${head}\r\n`)).text).toMatch(/^HTTP\/1.1 200 /);
    } finally {
      await served.close();
    }
  });

  it("the log's record says that csrf refused, and why", async () => {
    const { entries, ...logger } = memoryLogger();
    const app = appWith({}, (made) => void made.use(requestLog({ logger })));
    await ask(app, "POST", { Origin: "null" });
    await until(() => entries.length === 1);
    expect(entries[0]!.fields).toMatchObject({ status: 403, refused: { by: "csrf", reason: "origin-null" } });
  });

  it("an onReject that throws changes no answer, and is reported once", async () => {
    const stderr = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      const app = appWith({
        onReject: () => {
          throw new Error("no");
        },
      });
      for (let i = 0; i < 3; i++)
        expect((await ask(app, "POST", { "Sec-Fetch-Site": "cross-site" })).status).toBe(403);
      const lines = stderr.mock.calls
        .map(([line]) => String(line))
        .filter((line) => line.includes("onReject"));
      expect(lines).toHaveLength(1);
    } finally {
      stderr.mockRestore();
    }
  });

  it("the answer is a problem that names the header, and not in production", async () => {
    const fields = { "Sec-Fetch-Site": "cross-site", Accept: "application/json" };
    const { text } = await ask(appWith({ explain: true }), "POST", fields);
    expect(text).toContain('Sec-Fetch-Site is \\"cross-site\\"');
    expect(text).not.toMatch(/^Vary:.*(?:Origin|Sec-Fetch)/im);
    expect((await ask(appWith({ explain: false }), "POST", fields)).text).not.toContain("cross-site");
  });

  it("with reportOnly all requests pass, and each is reported", async () => {
    const seen: unknown[] = [];
    const app = appWith({ reportOnly: true, onReject: (reason, req) => seen.push([reason, req.method]) });
    expect((await ask(app, "POST", { "Sec-Fetch-Site": "cross-site" })).status).toBe(200);
    expect((await ask(app, "PUT", { Origin: "null" })).status).toBe(200);
    expect((await ask(app, "POST", { Origin: "https://a.example" })).status).toBe(200);
    expect(seen).toEqual([
      ["sec-fetch-site", "POST"],
      ["origin-null", "PUT"],
      ["origin", "POST"],
    ]);
  });

  it("a refused upload is answered at once, without waiting for its body", async () => {
    const { port } = await listen(appWith());
    const head =
      "POST / HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 1000000\r\n\r\n";
    const { text } = await raw(port, head);
    expect(text).toMatch(/^HTTP\/1.1 403 /);
    expect(text).toMatch(/^Connection: close/im);
  });
});

// Go's table of AddTrustedOrigin; its http: origin needs allowInsecureOrigins here.
it.each([
  "example.com",
  "https://",
  "https://example.com/",
  "https://example.com/path",
  "https://example.com?query=value",
  "https://example.com#fragment",
  "https://ex ample.com",
  "",
  "null",
  "http://example.com",
])("the trusted origin %j is a problem", (origin) => {
  expect(() => csrf({ trustedOrigins: [origin] })).toThrow(/trustedOrigins\[0\]/);
});

it.each([
  "https://example.com",
  "https://example.com:8080",
  "http://localhost:3000",
])("the trusted origin %j is accepted", (origin) => {
  expect(() => csrf({ trustedOrigins: [origin] })).not.toThrow();
});

it("problems of the options are all named at once", () => {
  expect(() =>
    csrf({
      trustedOrigins: [
        "https://good.example",
        "example.com",
        "https://a.example/",
        "https://*.a.example",
        "http://a.example",
        "http://localhost:3000",
        "null",
        "file://",
        "*",
        /x/ as never,
      ],
      reportOnly: "yes" as never,
      onReject: 1 as never,
      cookie: true,
    } as never),
  ).toThrow(
    expect.objectContaining({
      problems: expect.arrayContaining(
        [
          "cookie",
          "trustedOrigins[1]",
          "trustedOrigins[2]",
          "trustedOrigins[3]",
          "trustedOrigins[4]",
          "trustedOrigins[6]",
          "trustedOrigins[7]",
          "trustedOrigins[8]",
          "trustedOrigins[9]",
          "reportOnly",
          "onReject",
        ].map((option) => expect.objectContaining({ option })),
      ),
    }),
  );
  expect(() => csrf({ trustedOrigins: ["http://a.example"], allowInsecureOrigins: true })).not.toThrow();
  expect(() => csrf({ trustedOrigins: undefined })).toThrow(/environment variable/);
});
