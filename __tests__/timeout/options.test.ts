import express from "express";
import request from "supertest";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { timeout } from "../../src/timeout/index.js";
import { never } from "./support.js";

it.each<[string, unknown, RegExp]>([
  ["ms", undefined, /is required/],
  ["ms", {}, /is required/],
  ["ms", 0, /leave the middleware out/],
  ["ms", -1, /more than 0/],
  ["ms", Number.NaN, /more than 0/],
  ["ms", Number.POSITIVE_INFINITY, /at most 2147483647/],
  ["ms", 2 ** 31, /at most 2147483647/],
  ["ms", "5000", /as a number/],
  ["ms", "5s", /as a number/],
  ["ms", null, /more than 0/],
  ["ms", true, /more than 0/],
  ["ms", [5], /more than 0/],
  ["ms", () => 5, /more than 0/],
  ["ms", 5n, /more than 0/],
  ["status", { ms: 5, status: 200 }, /from 400 to 599/],
  ["status", { ms: 5, status: 600 }, /from 400 to 599/],
  ["status", { ms: 5, status: "503" }, /from 400 to 599/],
  ["message", { ms: 5, message: { text: "late" } }, /string/],
  ["idleMs", { ms: 5, idleMs: 0 }, /leave the option out/],
  ["idleMs", { ms: 5, idleMs: 2 ** 31 }, /at most/],
  ["totalMs", { ms: 5, totalMs: -1 }, /more than 0/],
  ["totalMs", { ms: 5, totalMs: "10s" }, /as a number/],
  ["totalMs", { ms: 5, totalMs: 4 }, /less than ms/],
  ["onLate", { ms: 5, onLate: true }, /function \(error, req\)/],
  ["onlate", { ms: 5, onlate() {} }, /Did you mean "onLate"/],
  ["idle", { ms: 5, idle: 5 }, /Did you mean "idleMs"/],
  ["respond", { ms: 5, respond: true }, /connect-timeout's name; here there is none/],
])("%s: %p is refused", (option, options, reason) => {
  const [problem] = refused(options).problems;
  expect(problem?.option).toBe(option);
  expect(problem?.reason).toMatch(reason);
});

it("names all problems at once", () => {
  const { problems } = refused({ status: 1, message: 2, totalMs: 0, nope: 1 });
  expect(problems.map(({ option }) => option).sort()).toEqual(["message", "ms", "nope", "status", "totalMs"]);
});

it.each([
  [1],
  [0.5],
  [2 ** 31 - 1],
  [{ ms: 10 }],
  [
    {
      ms: 10,
      status: undefined,
      message: undefined,
      idleMs: undefined,
      totalMs: undefined,
      onLate: undefined,
    },
  ],
  [Object.assign(Object.create(null), { ms: 10 })],
])("%p is taken", (options) => {
  expect(timeout(options as never).name).toBe("timeout");
});

it("a long deadline does not fire at once", async () => {
  const app = express();
  app.use(timeout(2 ** 31 - 1));
  app.get("/", (_req, res) => void setTimeout(() => res.send("in time"), 10));
  await request(app).get("/").expect(200, "in time");
});

it("copies its options", async () => {
  const options = { ms: 10, status: 504 };
  const app = express();
  app.use(timeout(options));
  app.use(never);
  options.status = 418;
  await request(app).get("/").expect(504);
});

function refused(options: unknown): ConfigError {
  try {
    timeout(options as never);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("was taken");
}
