import express from "express";
import request from "supertest";
import { apiKey, authenticate, authorize, basic, bearer, requireScopes } from "../../src/auth/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { timeout } from "../../src/timeout/index.js";
import { memoryStream } from "./memory.js";

const schemes = [
  bearer({ verify: (token) => token === "good" && { sub: "ann", scope: "orders:read" } }),
  basic({ users: { ann: "secret" } }),
  apiKey({ keys: ["key"] }),
];

function appWith(options: Parameters<typeof requestLog>[0] = {}) {
  const stream = memoryStream();
  const app = express();
  app.use(requestLog({ format: "json", ...options, stream }));
  app.get("/slow", timeout(5), () => {});
  app.get("/optional", authenticate(schemes, { optional: true }), requireScopes("orders:read"));
  app.use(authenticate(schemes));
  app.get(
    "/forbidden",
    authorize(() => false),
  );
  app.get(
    "/later",
    authorize(async () => false),
  );
  app.get("/scope", requireScopes("orders:write"));
  app.get("/", (_req, res) => {
    res.send("x");
  });
  return { app, stream };
}

const good = "Bearer good";
const REFUSALS: [string, Record<string, string>, number, unknown][] = [
  ["/", {}, 401, { by: "auth", reason: "missing" }],
  ["/", { authorization: "Bearer two words" }, 400, { by: "auth", reason: "malformed" }],
  ["/", { authorization: "Bearer bad" }, 401, { by: "auth", reason: "rejected" }],
  ["/", { authorization: "Basic %" }, 401, { by: "auth", reason: "malformed" }],
  ["/", { authorization: `Basic ${btoa("ann:wrong")}` }, 401, { by: "auth", reason: "rejected" }],
  ["/", { "x-api-key": "wrong" }, 401, { by: "auth", reason: "rejected" }],
  ["/", { "x-api-key": "a, b" }, 401, { by: "auth", reason: "rejected" }],
  ["/", { "x-api-key": "" }, 401, { by: "auth", reason: "malformed" }],
  ["/optional", {}, 401, { by: "auth", reason: "missing" }],
  ["/forbidden", { authorization: good }, 403, { by: "auth", reason: "forbidden" }],
  ["/later", { authorization: good }, 403, { by: "auth", reason: "forbidden" }],
  ["/scope", { authorization: good }, 403, { by: "auth", reason: "scope" }],
  ["/slow", {}, 503, { by: "timeout", reason: "deadline" }],
  ["/", { authorization: good }, 200, undefined],
];

describe("requestLog says which middleware refused a request, and why", () => {
  it.each(REFUSALS)("%s with %j is %i, %j", async (path, headers, status, refused) => {
    const { app, stream } = appWith();
    const answer = await request(app).get(path).set(headers);
    expect(answer.status).toBe(status);
    expect(stream.entries[0]!.refused).toEqual(refused);
  });

  it("the client does not see it: every bad token gets the same response", async () => {
    const { app } = appWith();
    const missing = await request(app).get("/").set("authorization", "Bearer bad");
    expect(JSON.stringify([missing.body, missing.headers])).not.toMatch(/rejected|expired/);
  });

  it("in ecs as labels, in otel as attributes of our own", async () => {
    const ecs = appWith({ schema: "ecs" });
    await request(ecs.app).get("/");
    expect(ecs.stream.entries[0]).toMatchObject({
      "labels.refused_by": "auth",
      "labels.refused_reason": "missing",
    });
    const otel = appWith({ schema: "otel" });
    await request(otel.app).get("/");
    expect(otel.stream.entries[0]).toMatchObject({
      "portico.refused.by": "auth",
      "portico.refused.reason": "missing",
    });
  });

  it("in the dev line it is a mark, except for a timeout, which has one already", async () => {
    const { app, stream } = appWith({ format: "dev" });
    await request(app).get("/");
    await request(app).get("/slow");
    expect(stream.lines[0]).toMatch(/^GET \/ 401 [\d.]+ ms auth: missing$/);
    expect(stream.lines[1]).toMatch(/^GET \/slow 503 [\d.]+ ms timed out$/);
  });
});
