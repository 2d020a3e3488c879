import { cspReports } from "../../src/csp-reports/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";

const onReport = () => {};

it.each<[string, unknown, RegExp]>([
  ["onReport", undefined, /is required, or a logger/],
  ["onReport", {}, /is required, or a logger/],
  ["onReport", { onReport: undefined, logger: undefined }, /is required, or a logger/],
  ["onReport", { onReport: "log" }, /function \(report, req\)/],
  ["logger", { logger: () => {} }, /must have the methods/],
  ["logger", { onReport, logger: { info() {} } }, /it has no debug, warn, error/],
  ["maxBytes", { onReport, maxBytes: 0 }, /bytes from 1 to 10485760/],
  ["maxBytes", { onReport, maxBytes: 10_485_761 }, /from 1 to/],
  ["maxBytes", { onReport, maxBytes: "64kb" }, /whole number/],
  ["maxBytes", { onReport, maxBytes: 1.5 }, /whole number/],
  ["maxBytes", { onReport, maxBytes: Number.POSITIVE_INFINITY }, /whole number/],
  ["maxPerMinute", { onReport, maxPerMinute: 0 }, /reports from 1 to 1000000/],
  ["maxPerMinute", { onReport, maxPerMinute: Number.NaN }, /whole number/],
  ["maxPerMinute", { onReport, maxPerMinute: null }, /whole number/],
  ["onreport", { onreport: onReport, logger: console }, /Did you mean "onReport"/],
  ["maxByte", { onReport, maxByte: 5 }, /Did you mean "maxBytes"/],
  ["limit", { onReport, limit: 5 }, /options are onReport, logger/],
])("%s: %p is refused", (option, options, reason) => {
  const [problem] = refused(options).problems;
  expect(problem?.option).toBe(option);
  expect(problem?.reason).toMatch(reason);
});

it("reports all problems together", () => {
  const { problems } = refused({ maxBytes: -1, maxPerMinute: -1, nope: 1 });
  expect(problems.map(({ option }) => option).sort()).toEqual([
    "maxBytes",
    "maxPerMinute",
    "nope",
    "onReport",
  ]);
});

it.each([
  [{ onReport }],
  [{ logger: console }],
  [{ onReport, logger: undefined, maxBytes: undefined, maxPerMinute: undefined }],
  [{ onReport, maxBytes: 1, maxPerMinute: 1 }],
  [{ onReport, maxBytes: 10_485_760, maxPerMinute: 1_000_000 }],
  [Object.assign(Object.create(null), { onReport })],
])("%p is taken", (options) => {
  expect(cspReports(options).name).toBe("cspReports");
});

function refused(options: unknown): ConfigError {
  try {
    cspReports(options as never);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("was taken");
}
