import request from "supertest";
import { requestContext } from "../../src/context/index.js";
import type { Logger } from "../../src/lib/log/logger.js";
import { memoryLogger } from "../support/logger.js";
import { CSP, csp, legacy, REPORTS, receiver, reporting } from "./support.js";

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
    expect(entries).toMatchObject([{ fields: { documentUrl: shown, blockedUrl: shown, sourceFile: shown } }]);
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
