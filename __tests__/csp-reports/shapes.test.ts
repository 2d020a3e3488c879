import request from "supertest";
import { requestContext } from "../../src/context/index.js";
import { cspReports, type ViolationReport } from "../../src/csp-reports/index.js";
import { isNoise } from "../../src/csp-reports/noise.js";
import { normalise } from "../../src/csp-reports/normalise.js";
import type { Logger } from "../../src/lib/log/logger.js";
import { expressVersions } from "../support/express.js";
import { memoryLogger } from "../support/logger.js";
import { CSP, csp, event, KEYS, legacy, modern, REPORTS, receiver, reporting } from "./support.js";

describe("shapes of reports", () => {
  const safari = { type: "csp-violation", url: legacy["document-uri"], body: modern };

  describe.each(expressVersions)("on %s", (_version, express) => {
    it.each<[string, string, unknown, Partial<ViolationReport>]>([
      ["report-uri", CSP, { "csp-report": legacy }, {}],
      ["the Reporting API", REPORTS, [reporting], { ageMs: 53 }],
      ["the Reporting API, one without a list", REPORTS, reporting, { ageMs: 53 }],
      ["Safari", CSP, safari, {}],
      ["old Firefox", "application/json", { "csp-report": legacy }, {}],
      [
        "early Chrome",
        REPORTS,
        [{ type: "csp", age: 53, url: "https://other.example/", body: legacy }],
        { ageMs: 53 },
      ],
      ["report-uri, with parameters", `${CSP}; charset=utf-8`, { "csp-report": legacy }, {}],
      ["report-uri, written large", "Application/CSP-Report;charset=UTF-8", { "csp-report": legacy }, {}],
      ["the Reporting API, with parameters", `${REPORTS} ; v="a;b"`, [reporting], { ageMs: 53 }],
    ])("%s: one event, and an empty 204", async (_name, type, body, difference) => {
      const told: ViolationReport[] = [];
      const app = express();
      app.use("/csp-reports", cspReports({ onReport: (report) => void told.push(report) }));
      const res = await request(app)
        .post("/csp-reports")
        .set("Content-Type", type)
        .set("User-Agent", "Agent/1")
        .send(JSON.stringify(body))
        .expect(204, "");
      expect(res.headers).not.toHaveProperty("content-type");
      expect(told).toEqual([{ ...event, ...difference }]);
      expect(Object.keys(told[0]!)).toEqual(KEYS);
    });
  });

  it("other reports of the Reporting API have their body", async () => {
    const { app, told } = receiver();
    const batch = [
      {
        type: "deprecation",
        age: 1,
        url: "https://app.example/",
        user_agent: "Agent/1",
        body: {
          id: "WebSQL",
          message: "WebSQL is going",
          sourceFile: "https://app.example/a.js",
          lineNumber: 3,
        },
      },
      { type: "intervention", url: "https://app.example/", body: { id: "Heavy", message: "Too heavy" } },
      { type: "crash", url: "https://app.example/", body: { reason: "oom" } },
      { type: "network-error", url: "https://app.example/", body: { type: "tcp.reset", status_code: 0 } },
      {
        type: "coop",
        url: "https://app.example/",
        body: { disposition: "reporting", type: "navigation-to-response" },
      },
      {
        type: "coep",
        url: "https://app.example/",
        body: { disposition: "enforce", blockedURL: "https://b.example/" },
      },
      {
        type: "permissions-policy-violation",
        url: "https://app.example/",
        body: { policyId: "camera", disposition: "report" },
      },
      {
        type: "integrity-violation",
        url: "https://app.example/",
        body: { blockedURL: "https://b.example/a.js", destination: "script", reportOnly: true },
      },
      { type: "of-next-year", url: "https://app.example/", body: { any: { depth: [1, null, true] } } },
      { type: "without-a-body", url: "https://app.example/", body: null },
    ];
    await request(app).post("/csp-reports").type(REPORTS).send(JSON.stringify(batch)).expect(204);
    expect(told.map(({ type }) => type)).toEqual(batch.map(({ type }) => type));
    expect(told.map(({ body }) => body)).toEqual(batch.map(({ body }) => body ?? {}));
    expect(told.map(({ disposition }) => disposition).filter(Boolean)).toEqual([
      "report",
      "enforce",
      "report",
      "report",
    ]);
    expect(told[0]).toMatchObject({
      message: "WebSQL is going",
      sourceFile: "https://app.example/a.js",
      lineNumber: 3,
    });
    expect(told[2]!.message).toBe("oom");
    expect(told[3]!.statusCode).toBe(0);
    for (const report of told) expect(Object.keys(report)).toEqual(KEYS);
  });

  it.each<[string, object, Partial<ViolationReport>]>([
    [
      "no effective directive",
      { "effective-directive": undefined },
      { effectiveDirective: "script-src-elem" },
    ],
    [
      "an empty one",
      { "effective-directive": "", "violated-directive": " img-src *" },
      { effectiveDirective: "img-src" },
    ],
    ["numbers as text", { "line-number": "7", "status-code": "404" }, { lineNumber: 7, statusCode: 404 }],
    [
      "numbers that are none",
      { "line-number": -1, "column-number": 1.5, "status-code": "many" },
      { lineNumber: undefined, columnNumber: undefined, statusCode: undefined },
    ],
    ["a strange disposition", { disposition: "maybe" }, { disposition: undefined }],
    ["report-only", { disposition: "report" }, { disposition: "report" }],
    ["a sample", { "script-sample": "alert(1)" }, { sample: "alert(1)" }],
    ["an object for text", { "blocked-uri": { toString: "x" } }, { blockedUrl: undefined }],
    [
      "a password and a fragment",
      { "document-uri": "https://u:p@app.example/a?b=c#token=d" },
      { documentUrl: "https://app.example/a?b=c" },
    ],
    ["nothing but a fragment", { "document-uri": "#token" }, { documentUrl: undefined }],
    [
      "an at sign further on",
      { "blocked-uri": "https://b.example/@c?@d" },
      { blockedUrl: "https://b.example/@c?@d" },
    ],
    ["inline", { "blocked-uri": "inline" }, { blockedUrl: "inline" }],
    [
      "a long URL",
      { "blocked-uri": `https://b.example/${"x".repeat(5_000)}` },
      { blockedUrl: `https://b.example/${"x".repeat(2_030)}…` },
    ],
    ["a pair at the cut", { "script-sample": `${"x".repeat(2_047)}😀` }, { sample: `${"x".repeat(2_047)}…` }],
    ["a long policy", { "original-policy": "p".repeat(9_000) }, { originalPolicy: `${"p".repeat(8_192)}…` }],
  ])("%s", async (_name, changes, difference) => {
    const { app, told } = receiver();
    await request(app)
      .post("/csp-reports")
      .type(CSP)
      .set("User-Agent", "Agent/1")
      .send(csp(changes))
      .expect(204);
    expect(told).toEqual([{ ...event, ...difference }]);
  });

  it("the body of another type is truncated and sets no prototype", async () => {
    const { app, told } = receiver();
    const wide = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i]));
    const body = `{"__proto__":{"polluted":true},"long":"${"x".repeat(5_000)}","list":[${"1,".repeat(500)}1],"deep":{"a":{"b":{"c":1}}},"wide":${JSON.stringify(wide)}}`;
    await request(app)
      .post("/csp-reports")
      .type(REPORTS)
      .send(`[{"type":"x","url":"https://app.example/","__proto__":{"age":1},"body":${body}}]`)
      .expect(204);
    const { long, list, deep, wide: cutWide, ...rest } = told[0]!.body as Record<string, never>;
    expect(long).toBe(`${"x".repeat(2_048)}…`);
    expect(list).toHaveLength(32);
    expect(deep).toEqual({ a: { b: "…" } });
    expect(Object.keys(cutWide!)).toHaveLength(32);
    expect(rest).toEqual({});
    expect(told[0]!.ageMs).toBeUndefined();
    expect(Object.getPrototypeOf(told[0]!.body)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it("nothing is read from a prototype", () => {
    expect(normalise(Object.create(reporting))).toBeUndefined();
    expect(normalise({ "csp-report": Object.create(legacy) })).toMatchObject({ blockedUrl: undefined });
  });
});

describe("noise", () => {
  const judge = (changes: object) => isNoise(normalise({ "csp-report": { ...legacy, ...changes } })!);

  const SCHEMES = [
    "chrome-extension",
    "moz-extension",
    "safari-extension",
    "safari-web-extension",
    "ms-browser-extension",
    "webkit-masked-url",
  ];

  it.each(SCHEMES)("%s is noise in each URL field, with or without a colon", (scheme) => {
    for (const field of ["blocked-uri", "source-file", "document-uri"]) {
      for (const url of [scheme, `${scheme}://abc/x.js`, `${scheme}:`, `${scheme.toUpperCase()}://abc`]) {
        expect([field, url, judge({ [field]: url })]).toEqual([field, url, true]);
      }
    }
  });

  it.each([
    [{ "blocked-uri": "about" }],
    [{ "blocked-uri": "about:blank" }],
    [{ "document-uri": "about:welcome" }],
    [{ "source-file": "view-source" }],
    [{ "document-uri": "chrome-error://chromewebdata/" }],
    [{ "blocked-uri": "data:text/html,chromewebdata" }],
    [{ "document-uri": "data:text/html,chromewebdata" }],
    [{ "source-file": "user-script:1" }],
    [{ "blocked-uri": "webviewprogressproxy:///complete" }],
    [{ "blocked-uri": "gsa://onpageload" }],
    [{ "blocked-uri": "resource://reader/x.css" }],
    [{ "blocked-uri": "https://connect.facebook.net/en_US/iab.autofill.enhanced.js?v=1" }],
    [{ "blocked-uri": "https://connect.facebook.net/de_DE/pcm.js" }],
    [{ "document-uri": "https://app-example.translate.goog/page?_x_tr_sl=de" }],
    [{ "document-uri": "https://translate.googleusercontent.com/translate_c?u=x" }],
    [{ "document-uri": "https://translate.google.com/website" }],
    [{ "blocked-uri": "https://translate.googleapis.com/element/log" }],
    [{ "blocked-uri": "https://translate-pa.googleapis.com/v1/translateHtml" }],
    [{ "blocked-uri": "https://GC.kis.v2.scr.kaspersky-labs.com:443/x/main.js" }],
    [{ "blocked-uri": "https://user@translate.googleapis.com/" }],
  ])("%j is noise", (changes) => {
    expect(judge(changes)).toBe(true);
  });

  it.each([
    [{ "blocked-uri": "inline" }],
    [{ "blocked-uri": "eval" }],
    [{ "blocked-uri": "wasm-eval" }],
    [{ "blocked-uri": "trusted-types-sink" }],
    [{ "blocked-uri": "trusted-types-policy" }],
    [{ "blocked-uri": "self" }],
    [{ "blocked-uri": "data" }],
    [{ "blocked-uri": "data:image/png;base64,AAAA" }],
    [{ "blocked-uri": "blob" }],
    [{ "blocked-uri": "" }],
    [{ "blocked-uri": "https://app.example/chrome-extension/x.js" }],
    [{ "blocked-uri": "https://cdn.example/?from=moz-extension://x" }],
    [{ "blocked-uri": "https://about.example/" }],
    [{ "blocked-uri": "about.example" }],
    [{ "blocked-uri": "myapp" }],
    [{ "blocked-uri": "https://connect.facebook.net/en_US/sdk.js" }],
    [{ "blocked-uri": "https://connect.facebook.net/en_US/fbevents.js" }],
    [{ "blocked-uri": "https://nottranslate.googleapis.com/" }],
    [{ "blocked-uri": "https://translate.googleapis.com.evil.example/" }],
    [{ "blocked-uri": "https://evil.example/translate.goog" }],
    [{ "blocked-uri": "https://fonts.googleapis.com/css" }],
    [{ "document-uri": "about", "source-file": "about", "blocked-uri": "inline" }], // Chrome, from a frame with `srcdoc`
    [{ "document-uri": "about", "blocked-uri": "https://evil.example/x.png" }], // Chrome, from one without an address
    [{ "document-uri": "about:srcdoc" }],
    [{ "document-uri": "about:blank" }],
    [{ "document-uri": "http://localhost:3000/" }],
    [{ "source-file": "https://app.example/app.js" }],
  ])("%j is genuine", (changes) => {
    expect(judge(changes)).toBe(false);
  });

  it("noise is answered like any report, but not passed on", async () => {
    const logger = memoryLogger();
    const { app, told } = receiver({ logger });
    await request(app)
      .post("/csp-reports")
      .type(CSP)
      .send(csp({ "blocked-uri": "chrome-extension" }))
      .expect(204);
    expect([told, logger.entries]).toEqual([[], []]);
    await request(app).post("/csp-reports").type(CSP).send(csp()).expect(204);
    expect([told.length, logger.entries.length]).toEqual([1, 1]);
  });
});

describe("observers", () => {
  const send = (app: unknown, body: string, type = CSP) =>
    request(app as never)
      .post("/csp-reports")
      .type(type)
      .set("User-Agent", "Agent/1")
      .send(body);

  it("onReport gets the request", async () => {
    const paths: unknown[] = [];
    const { app } = receiver({
      onReport: (_report, req) => void paths.push([req.originalUrl, req.get("user-agent")]),
    });
    await send(app, csp()).expect(204);
    expect(paths).toEqual([["/csp-reports", "Agent/1"]]);
  });

  describe("an onReport that fails", () => {
    const faults: [string, () => unknown][] = [
      [
        "throws",
        () => {
          throw new Error("full");
        },
      ],
      [
        "throws nothing",
        () => {
          throw undefined;
        },
      ],
      [
        "rejects",
        async () => {
          throw new Error("full");
        },
      ],
      ["rejects later", () => new Promise((_, reject) => setImmediate(reject, new Error("full")))],
    ];
    const batch = JSON.stringify([reporting, reporting]);

    it.each(faults)("and %s is logged once, and requests are not affected", async (_name, onReport) => {
      const logger = memoryLogger();
      const called = jest.fn(onReport);
      const { app } = receiver({ logger, onReport: called });
      await send(app, batch, REPORTS).expect(204, "");
      await send(app, batch, REPORTS).expect(204, "");
      await new Promise((resolve) => setImmediate(resolve));
      expect(called).toHaveBeenCalledTimes(4);
      expect(logger.entries.filter(({ level }) => level === "error")).toMatchObject([
        {
          message: expect.stringMatching(/^cspReports: onReport threw/),
          fields: { error: { type: expect.any(String) } },
        },
      ]);
      expect(logger.entries.filter(({ level }) => level === "warn")).toHaveLength(4);
    });

    it("is logged to standard error without a logger", async () => {
      const written = jest.spyOn(process.stderr, "write").mockReturnValue(true);
      const { app } = receiver({ onReport: () => Promise.reject(new Error("full")) });
      await send(app, batch, REPORTS).expect(204);
      expect(written.mock.calls.filter(([line]) => /onReport threw/.test(String(line)))).toHaveLength(1);
      written.mockRestore();
    });

    it("returns a thenable that is no promise: only a rejection is logged", async () => {
      const logger = memoryLogger();
      const lazy = (settle: "resolve" | "reject") => ({
        // biome-ignore lint/suspicious/noThenProperty: the point of the test
        // biome-ignore lint/complexity/noBannedTypes: as a careless one calls them
        then: (resolve: Function, reject: Function) =>
          settle === "resolve" ? resolve(1) : reject(new Error("full")),
      });
      const results = [lazy("resolve"), lazy("reject")];
      const { app } = receiver({ logger, onReport: () => results.shift() });
      const failures = () => logger.entries.filter(({ level }) => level === "error");
      await send(app, csp()).expect(204);
      await new Promise((resolve) => setImmediate(resolve));
      expect(failures()).toEqual([]);
      await send(app, csp()).expect(204);
      await new Promise((resolve) => setImmediate(resolve));
      expect(failures()).toMatchObject([{ fields: { error: { message: "full" } } }]);
    });

    it("does not keep the client waiting", async () => {
      const { app } = receiver({ onReport: () => new Promise(() => {}) });
      await send(app, csp()).expect(204);
    });
  });

  it("a logger that throws changes nothing", async () => {
    const written = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    const throws = () => {
      throw new Error("disk full");
    };
    const { app, told } = receiver({ logger: { debug: throws, info: throws, warn: throws, error: throws } });
    await send(app, csp()).expect(204);
    expect(told).toHaveLength(1);
    written.mockRestore();
  });

  describe("the log", () => {
    async function logged(body: string, type = CSP, ...before: Parameters<typeof requestContext>) {
      const logger = memoryLogger();
      const { app } = receiver({ logger, onReport: undefined }, requestContext(...before));
      await send(app, body, type).expect(204);
      return logger.entries;
    }

    it("has a line for each report with the known fields", async () => {
      expect(await logged(csp())).toEqual([
        {
          level: "warn",
          message: "violation report",
          fields: {
            type: "csp-violation",
            documentUrl: "https://app.example/page",
            blockedUrl: "https://evil.example/x.js",
            effectiveDirective: "script-src-elem",
            disposition: "enforce",
            statusCode: 200,
            sourceFile: "https://app.example/app.js",
            lineNumber: 12,
            columnNumber: 34,
            userAgent: "Agent/1",
            requestId: expect.any(String),
          },
        },
      ]);
    });

    it.each<[keyof Logger, object]>([
      ["info", { disposition: "report" }],
      ["warn", { disposition: "enforce" }],
      ["warn", { disposition: undefined }],
    ])("at %s: %j", async (level, changes) => {
      expect(await logged(csp(changes))).toMatchObject([{ level }]);
    });

    it.each<[string, string, string]>([
      ["a query", "https://app.example/reset?token=s3cret", "https://app.example/reset"],
      ["a fragment", "https://app.example/#access_token=s3cret", "https://app.example/"],
      ["credentials", "https://user:s3cret@app.example/a", "https://app.example/a"],
      ["credentials with at signs", "https://user:s3c@ret@app.example/a@b", "https://app.example/a@b"],
      ["a query right behind the host", "https://app.example?token=s3cret", "https://app.example"],
      ["credentials and no scheme", "//user:s3cret@app.example/", "//app.example/"],
      ["a query and no scheme", "app.example/reset?token=s3cret", "app.example/reset"],
      ["data", "data:text/plain,s3cret", "data"],
      ["a blob", "blob:https://app.example/s3cret", "blob"],
      ["an app's link", "myapp://user:s3cret@open?token=s3cret", "myapp://open"],
      ["capital letters", "HTTPS://user:s3cret@app.example/?s3cret", "HTTPS://app.example/"],
    ])("hides the secrets of a URL: %s", async (_name, url, shown) => {
      const fields = { "document-uri": url, "blocked-uri": url, "source-file": url };
      const entries = await logged(csp(fields));
      expect(entries).toMatchObject([
        { fields: { documentUrl: shown, blockedUrl: shown, sourceFile: shown } },
      ]);
      expect(JSON.stringify(entries)).not.toContain("s3cret");
    });

    it("hides secrets in the browser's message", async () => {
      const message =
        "Blocked (https://u:s3cret@app.example/a?token=s3cret) and wss://b.example/#s3cret, see #12 at a://b";
      const body = JSON.stringify([
        { type: "intervention", url: "https://app.example/", body: { message, other: "s3cret" } },
      ]);
      const entries = await logged(body, REPORTS);
      expect(entries).toMatchObject([
        { fields: { detail: "Blocked (https://app.example/a and wss://b.example/ see #12 at a://b" } },
      ]);
      expect(JSON.stringify(entries)).not.toContain("s3cret");
    });

    it.each<[string, string, string]>([
      [
        "two URLs and no space",
        "https://a.example/,https://u:s3cret@b.example/",
        "https://a.example/,https://b.example/",
      ],
      [
        "one in quotes behind another",
        `"https://a.example/b"'wss://u:s3cret@b.example'`,
        `"https://a.example/b"'wss://b.example'`,
      ],
      ["an escaped one", "https:\\/\\/u:s3cret@a.example\\/?s3cret", "https:\\/\\/a.example\\/"],
      ["one without a scheme", "see //u:s3cret@a.example/?s3cret", "see //a.example/"],
      ["a path alone", "see /reset?token=s3cret now", "see /reset now"],
      ["data", "Refused 'data:text/plain,s3cret' here", "Refused 'data here"],
      ["a blob", "Refused blob:https://a.example/s3cret here", "Refused blob here"],
      ["data behind a URL", "https://u:s3cret@a.example/,data:s3cret", "https://a.example/,data"],
      ["one cut by the bound", `/?${"x".repeat(2_026)} https://u:s3cret@a.example`, "/ https://"],
      ["words with a colon, a hash, a question mark", "Error: #12? a@b", "Error: #12? a@b"],
    ])("hides secrets in a sentence with %s", async (_name, message, shown) => {
      const entries = await logged(
        JSON.stringify({ type: "x", url: "https://a.example/", body: { message } }),
        REPORTS,
      );
      expect(entries).toMatchObject([{ fields: { detail: shown } }]);
    });

    it("has no control characters in any field", async () => {
      const bad = "a\r\nb\x1b[31m\x00\x7f\x85\u2028\u2029\u202e\u2066\u200b\ufeff";
      const url = `https://app.example/${bad}`;
      const fields = Object.fromEntries(
        Object.entries(legacy).map(([name, value]) => [
          name,
          typeof value === "string" ? `${/ur[il]|file/.test(name) ? url : bad}` : value,
        ]),
      );
      const entries = [
        ...(await logged(
          JSON.stringify({ "csp-report": { ...fields, "effective-directive": `x${"\x1b\u202e"}` } }),
        )),
        ...(await logged(
          JSON.stringify([{ type: bad, url, user_agent: bad, body: { message: bad, sourceFile: url } }]),
          REPORTS,
        )),
      ];
      expect(entries).toHaveLength(2);
      const texts = entries.flatMap(({ fields, message }) => [message, ...Object.values(fields).map(String)]);
      for (const text of texts)
        expect(text).not.toMatch(/[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/);
      expect(texts).toContain(
        "a\\u000d\\u000ab\\u001b[31m\\u0000\\u007f\\u0085\\u2028\\u2029\\u202e\\u2066\\u200b\\ufeff",
      );
    });

    it("is short", async () => {
      const long = Object.fromEntries(Object.keys(legacy).map((name) => [name, "x".repeat(4_000)]));
      const entries = await logged(JSON.stringify({ "csp-report": long }));
      expect(JSON.stringify(entries).length).toBeLessThan(4_500);
    });
  });
});
