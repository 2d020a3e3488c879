import express from "express";
import request from "supertest";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";

it.each<[string, unknown, RegExp]>([
  ["options", "never", /must be an object/],
  ["options", null, /must be an object/],
  ["options", [], /must be an object/],
  ["options", () => {}, /must be an object/],
  ["loger", { loger: console }, /Did you mean "logger"/],
  ["linger", { linger: 5 }, /Did you mean "lingerMs"/],
  ["stack", { stack: false }, /options are logger, render/],
  ["logger", { logger: console.log }, /debug, info, warn and error/],
  ["logger", { logger: { info() {} } }, /no debug, warn, error/],
  ["logger", { logger: null }, /debug, info, warn and error/],
  ["render", { render: "error.html" }, /function \(problem, req, res, error\)/],
  ["status", { status: 500 }, /function of the error/],
  ["expose", { expose: true }, /function of the error/],
  ["onError", { onError: {} }, /function \(error, req\)/],
  ["close", { close: true }, /"server-errors", "always", "never"/],
  ["close", { close: "server-error" }, /Did you mean "server-errors"/],
  ["lingerMs", { lingerMs: -1 }, /milliseconds from 0 to 60000/],
  ["lingerMs", { lingerMs: "500" }, /milliseconds/],
  ["lingerMs", { lingerMs: Number.NaN }, /milliseconds/],
  ["lingerMs", { lingerMs: Number.POSITIVE_INFINITY }, /milliseconds/],
])("%s: %p is refused", (option, options, reason) => {
  const problem = refused(options).problems[0];
  expect(problem?.option).toBe(option);
  expect(problem?.reason).toMatch(reason);
});

it("names all problems at once, for wrap too", () => {
  const error = refused({ close: 1, render: 2, nope: 3 });
  expect(error.problems.map(({ option }) => option).sort()).toEqual(["close", "nope", "render"]);
  expect(() => recover.wrap(() => {}, { close: 1 } as never)).toThrow(/recover\.wrap\(\)/);
});

it.each([
  [undefined],
  [{}],
  [Object.create(null)],
  [{ logger: undefined, close: undefined, lingerMs: undefined }],
])("%p means the defaults", (options) => {
  expect(() => recover(options as never)).not.toThrow();
});

it("copies its options", async () => {
  const logger = memoryLogger();
  const options = { logger, status: () => 418 as number | undefined };
  const app = express();
  app.get("/", () => {
    throw new Error("no");
  });
  app.use(recover(options));
  options.status = () => 400;
  await request(app).get("/").expect(418);
});

it.each<[unknown, number]>([
  [418, 418],
  [undefined, 409],
  [200, 409],
  ["404", 409],
  [Number.NaN, 409],
])("a status function that returns %p gives %i", async (returned, status) => {
  const app = express();
  app.get("/", () => {
    throw Object.assign(new Error(), { status: 409 });
  });
  app.use(recover({ logger: memoryLogger(), status: () => returned as number }));
  await request(app).get("/").expect(status);
});

function refused(options: unknown): ConfigError {
  try {
    recover(options as never);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("was accepted");
}
