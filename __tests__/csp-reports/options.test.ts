import fc from "fast-check";
import request from "supertest";
import { type CspReportsOptions, cspReports } from "../../src/csp-reports/index.js";
import { Rate } from "../../src/csp-reports/limits.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { memoryLogger } from "../support/logger.js";
import { casesOf } from "../support/soak.js";
import { CSP, csp, REPORTS, receiver, reporting } from "./support.js";

describe("options", () => {
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
});

describe("the rate", () => {
  describe("the window", () => {
    it("no span of 60 seconds has more than the limit, and free places are used", () => {
      const step = fc.record({ wait: fc.nat(40_000), wanted: fc.nat(12) });
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 20 }),
          fc.nat(1e9),
          fc.array(step, { maxLength: 60 }),
          (limit, start, steps) => {
            const rate = new Rate(limit);
            const given: { at: number; count: number }[] = [];
            const since = (from: number) =>
              given.filter(({ at }) => at > from).reduce((sum, { count }) => sum + count, 0);
            let now = start;
            for (const { wait, wanted } of steps) {
              now += wait;
              const isSpent = rate.isExhausted(now);
              const count = rate.take(wanted, now);
              expect(count).toBeLessThanOrEqual(wanted);
              if (isSpent) expect(count).toBe(0);
              // The window is one second longer than a minute.
              expect(count).toBeGreaterThanOrEqual(Math.min(wanted, limit - since(now - 61_000)));
              given.push({ at: now, count });
              expect(since(now - 60_000)).toBeLessThanOrEqual(limit);
            }
          },
        ),
        { numRuns: casesOf(1_000) },
      );
    });
  });

  describe("a flood", () => {
    beforeEach(() => {
      jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "queueMicrotask"] });
    });
    afterEach(() => void jest.useRealTimers());

    async function flooded(options: CspReportsOptions) {
      const logger = memoryLogger();
      const { app, told } = receiver({ logger, ...options });
      const send = (count: number) =>
        request(app)
          .post("/csp-reports")
          .type(REPORTS)
          .send(JSON.stringify(Array.from({ length: count }, (_, age) => ({ ...reporting, age }))))
          .expect(204);
      const losses = () => logger.entries.filter(({ message }) => /left out/.test(message));
      return { app, told, logger, send, losses };
    }

    it("is counted in reports: a batch is passed on up to the limit", async () => {
      const { told, send } = await flooded({ maxPerMinute: 5 });
      await send(3);
      await send(3);
      expect(told.map(({ ageMs }) => ageMs)).toEqual([0, 1, 2, 0, 1]);
      await send(1);
      expect(told).toHaveLength(5);
      jest.advanceTimersByTime(62_000);
      await send(3);
      expect(told).toHaveLength(8);
    });

    it("is answered 204 without reading bodies while the limit is reached", async () => {
      const { app, told, send } = await flooded({ maxPerMinute: 1 });
      await send(1);
      await request(app).post("/csp-reports").type(CSP).send("no JSON").expect(204, "");
      jest.advanceTimersByTime(62_000);
      await request(app).post("/csp-reports").type(CSP).send("no JSON").expect(400);
      expect(told).toHaveLength(1);
    });

    it("logs one line per minute with the number of reports left out", async () => {
      const { send, losses } = await flooded({ maxPerMinute: 120, maxBytes: 1_000_000 });
      await send(150); // 50 over the batch
      await send(30); // 10 over the minute
      for (let i = 0; i < 20; i++) await send(7);
      expect(losses()).toEqual([]);
      jest.advanceTimersByTime(59_999);
      expect(losses()).toEqual([]);
      jest.advanceTimersByTime(1);
      const message = "cspReports: reports of the last minute that were left out";
      expect(losses()).toEqual([
        { level: "warn", fields: { overBatch: 50, overRate: 10, unreadRequests: 20 }, message },
      ]);
      jest.advanceTimersByTime(600_000);
      expect(losses()).toHaveLength(1);
    });

    it("of too many in one batch is logged as a loss", async () => {
      const { send, losses } = await flooded({ maxBytes: 1_000_000 });
      await send(101);
      jest.advanceTimersByTime(60_000);
      expect(losses()).toMatchObject([{ level: "warn", fields: { overBatch: 1 } }]);
    });

    it("of noise is logged at debug and does not count for the limit", async () => {
      const { app, told, send, losses } = await flooded({ maxPerMinute: 2 });
      const noise = csp({ "blocked-uri": "chrome-extension" });
      for (let i = 0; i < 5; i++) await request(app).post("/csp-reports").type(CSP).send(noise).expect(204);
      await request(app).post("/csp-reports").type(REPORTS).send("[null,1]").expect(204);
      await send(2);
      expect(told).toHaveLength(2);
      jest.advanceTimersByTime(60_000);
      expect(losses()).toMatchObject([{ level: "debug", fields: { noise: 5, invalid: 2 } }]);
    });

    it("does not keep the process alive for its log line", async () => {
      const timers = jest.spyOn(globalThis, "setTimeout");
      const { send } = await flooded({ maxPerMinute: 1 });
      await send(5);
      const waiting = timers.mock.calls.flatMap(([, ms], i) =>
        ms === 60_000 ? [timers.mock.results[i]!.value] : [],
      );
      expect(waiting.map((timer: NodeJS.Timeout) => timer.hasRef())).toEqual([false]);
      timers.mockRestore();
    });

    it("sets no timer without a logger", async () => {
      const { send } = await flooded({ logger: undefined, maxPerMinute: 1 });
      await send(5);
      await send(5);
      expect(jest.getTimerCount()).toBe(0);
    });
  });
});
