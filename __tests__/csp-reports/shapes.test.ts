import request from "supertest";
import { cspReports, type ViolationReport } from "../../src/csp-reports/index.js";
import { normalise } from "../../src/csp-reports/normalise.js";
import { expressVersions } from "../support/express.js";
import { CSP, csp, event, KEYS, legacy, modern, REPORTS, receiver, reporting } from "./support.js";

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
  ["no effective directive", { "effective-directive": undefined }, { effectiveDirective: "script-src-elem" }],
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
