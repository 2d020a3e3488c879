import fc from "fast-check";
import request from "supertest";
import { normalise, type ViolationReport } from "../../src/csp-reports/normalise.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, raw } from "../support/server.js";
import { casesOf } from "../support/soak.js";
import { webQuery, webUrl } from "../support/text.js";
import { CSP, event, KEYS, legacy, modern, post, REPORTS, receiver, reporting } from "./support.js";

afterEach(closeServers);

const names = fc.constantFrom(
  ...[
    "csp-report",
    "type",
    "url",
    "body",
    "age",
    "user_agent",
    "__proto__",
    "constructor",
    "toString",
    "disposition",
  ],
  ...Object.keys(legacy),
  ...Object.keys(modern),
);
const values = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(
    "csp-violation",
    "enforce",
    "report",
    "inline",
    "https://u:p@a.example/?x#y",
    "\u2028\u0000",
    -1,
    1e300,
    "7",
  ),
);
const fields = fc.dictionary(names, values, { maxKeys: 12 });
const wrapped = fc.oneof(
  fc.record({ "csp-report": fields }),
  fc.record(
    { type: fc.string(), age: values, url: values, user_agent: values, body: fields },
    { requiredKeys: ["type"] },
  ),
  fields,
  fc.jsonValue(),
);
const payloads = fc.oneof(wrapped, fc.array(wrapped, { maxLength: 150 }));
const types = fc.constantFrom(
  CSP,
  REPORTS,
  "application/json",
  `${CSP}; charset=utf-8`,
  "text/plain",
  "x",
  "",
);

/** A report has one of these shapes, whatever is sent. */
function expectReport(report: ViolationReport): void {
  expect(Object.keys(report)).toEqual(KEYS);
  const { lineNumber, columnNumber, statusCode, ageMs, body, disposition, ...texts } = report;
  for (const number of [lineNumber, columnNumber, statusCode, ageMs]) {
    expect(number === undefined || (Number.isSafeInteger(number) && number >= 0)).toBe(true);
  }
  for (const text of Object.values(texts)) {
    expect(text === undefined || (typeof text === "string" && text !== "" && text.length <= 8_193)).toBe(
      true,
    );
  }
  expect([undefined, "enforce", "report"]).toContain(disposition);
  expect(body === undefined || Object.getPrototypeOf(body) === Object.prototype).toBe(true);
}

it("any JSON in any type: no 5xx, and at most a hundred events with the same keys", async () => {
  const logger = memoryLogger();
  const { app, told } = receiver({ logger, maxBytes: 10_000_000, maxPerMinute: 1_000_000 });
  const agent = request(await listen(app).then(({ url }) => url));
  await fc.assert(
    fc.asyncProperty(payloads, types, async (payload, type) => {
      told.length = 0;
      const { status } = await agent
        .post("/csp-reports")
        .set("Content-Type", type)
        .send(JSON.stringify(payload));
      expect([204, 400, 415]).toContain(status);
      expect(told.length).toBeLessThanOrEqual(100);
      if (status !== 204) expect(told).toEqual([]);
      told.forEach(expectReport);
    }),
    { numRuns: casesOf(300) },
  );
  expect(logger.entries.filter(({ level }) => level === "error")).toEqual([]);
  expect(({} as Record<string, unknown>).type).toBeUndefined();
});

it("any bytes: no 5xx", async () => {
  const { app, told } = receiver({ maxPerMinute: 1_000_000 });
  const server = await listen(app);
  const start = Buffer.from('{"csp-report":{"');
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, isBegun) => {
      const body = Buffer.concat([isBegun ? start : Buffer.alloc(0), bytes]);
      const { text } = await raw(server.port, post(body, CSP, "Connection: close\r\n"));
      expect(text).toMatch(/^HTTP\/1\.1 (?:204|400) /);
    }),
    { numRuns: casesOf(100) },
  );
  expect(told).toEqual([]);
});

describe("a naive reading of the formats", () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
  const facts = fc.record(
    {
      documentURL: webUrl({ query: webQuery().map((text) => `?${text}`) }),
      referrer: webUrl(),
      blockedURL: fc.oneof(webUrl(), fc.constantFrom("inline", "eval", "data")),
      effectiveDirective: word,
      originalPolicy: fc.string({ minLength: 1, maxLength: 100 }),
      disposition: fc.constantFrom("enforce", "report"),
      statusCode: fc.nat(599),
      sample: fc.string({ minLength: 1, maxLength: 40 }),
      sourceFile: webUrl(),
      lineNumber: fc.nat(),
      columnNumber: fc.nat(),
    },
    { requiredKeys: [] },
  );
  type Facts = { [Name in keyof typeof modern]?: unknown };

  /** The old names, in the order of `modern`. */
  const OLD: Record<string, string> = {
    documentURL: "document-uri",
    referrer: "referrer",
    blockedURL: "blocked-uri",
    effectiveDirective: "effective-directive",
    originalPolicy: "original-policy",
    disposition: "disposition",
    statusCode: "status-code",
    sample: "script-sample",
    sourceFile: "source-file",
    lineNumber: "line-number",
    columnNumber: "column-number",
  };
  const asOld = (known: Facts) =>
    Object.fromEntries(Object.entries(known).map(([name, value]) => [OLD[name]!, value]));

  function oracle(known: Facts): object {
    const { documentURL, blockedURL, ...rest } = known;
    const none = Object.fromEntries(KEYS.map((key) => [key, undefined]));
    return {
      ...none,
      type: "csp-violation",
      ...rest,
      documentUrl: documentURL,
      blockedUrl: blockedURL,
      userAgent: "A",
    };
  }

  it("agrees for all four formats", () => {
    fc.assert(
      fc.property(facts, fc.nat(), (known, age) => {
        const expected = oracle(known);
        expect(normalise({ "csp-report": asOld(known) }, "A")).toEqual(expected);
        expect(normalise({ type: "csp-violation", url: known.documentURL ?? "", body: known }, "A")).toEqual(
          expected,
        );
        expect(normalise({ type: "csp", body: asOld(known), user_agent: "A", age }, "B")).toEqual({
          ...expected,
          ageMs: age,
        });
        expect(normalise({ type: "csp-violation", body: known, user_agent: "A", age })).toEqual({
          ...expected,
          ageMs: age,
        });
      }),
      { numRuns: casesOf(1_000) },
    );
  });

  it("the first word of violated-directive replaces a missing effectiveDirective", () => {
    fc.assert(
      fc.property(word, fc.array(word), (name, sources) => {
        const report = normalise({ "csp-report": { "violated-directive": [name, ...sources].join(" ") } });
        expect(report!.effectiveDirective).toBe(name);
      }),
    );
  });

  it("the naive reading is right for the examples", () => {
    expect(normalise(reporting)).toEqual({ ...event, ageMs: 53 });
    expect(oracle({ ...modern, sample: undefined })).toEqual({ ...event, userAgent: "A" });
  });
});
