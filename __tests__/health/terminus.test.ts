import express from "express";
import request from "supertest";
import { type HealthCheck, health } from "../../src/health/index.js";

/** What the suite of @godaddy/terminus 4.12 expects of its route, for the same check. */
const rows: [what: string, check: HealthCheck, theirs: number, ours: [number, string]][] = [
  ["resolves", () => Promise.resolve(), 200, [200, "pass"]],
  ["resolves with info, which is not shown", async () => ({ version: "1.0.0" }), 200, [200, "pass"]],
  ["rejects", () => Promise.reject(new Error("failed")), 503, [503, "fail"]],
  [
    "rejects with causes, which are not shown",
    () => Promise.reject(Object.assign(new Error("failed"), { causes: [{ redis: { disk: 100 } }] })),
    503,
    [503, "fail"],
  ],
  [
    "rejects with a status of its own, which is theirs alone",
    () => Promise.reject(Object.assign(new Error("failed"), { statusCode: 500 })),
    500,
    [503, "fail"],
  ],
  [
    "rejects with a body of its own, which is theirs alone",
    () => Promise.reject(Object.assign(new Error(), { statusResponse: { status: "failed" } })),
    503,
    [503, "fail"],
  ],
];

it.each(
  rows,
)("a check that %s is answered as in terminus, or as the page says", async (_what, check, theirs, [
  status,
  word,
]) => {
  let runs = 0;
  const handler = health({
    checks: {
      it(signal) {
        runs++;
        return check(signal);
      },
    },
  });
  const app = express();
  app.get("/health", handler);
  app.use((_req, res) => void res.send("hello"));
  await new Promise((resolve) => setTimeout(resolve, 5));
  for (let i = 0; i < 3; i++) {
    const res = await request(app).get("/health").expect(status, { status: word });
    expect(res.headers["content-type"]).toBe("application/json");
  }
  await request(app).get("/").expect(200, "hello");
  handler.close();
  expect(runs).toBe(1); // theirs: 3
  expect(theirs >= 500).toBe(status >= 500);
});
