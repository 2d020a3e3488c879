import { ask1 } from "../../support/http2.js";
import { closeServers } from "../../support/server.js";
import { captureOutput, fromPage, listenToExample, PAGE_ORIGIN, preflight, stalledPost } from "./support.js";

afterEach(async () => {
  jest.restoreAllMocks();
  await closeServers();
});

const common = {
  "access-control-allow-origin": PAGE_ORIGIN,
  "x-content-type-options": "nosniff",
  "x-request-id": expect.stringMatching(/^[\w-]{36}$/),
};

it("the whole order: headers of outer middleware are on the responses of all inner ones", async () => {
  const lines = captureOutput();
  const server = await listenToExample("The whole order");
  const ask = (path: string, options: Parameters<typeof ask1>[2] = {}) =>
    ask1(server.url, path, { ...options, headers: { ...fromPage, ...options.headers } });

  expect((await ask1(server.url, "/", preflight)).status).toBe(204);
  const miss = await ask("/");
  expect(miss).toMatchObject({ status: 200, body: "Hello", headers: common });
  const hit = await ask("/");
  expect(hit.headers).toMatchObject({ ...common, "cache-status": expect.stringContaining("hit") });
  expect(hit.headers["x-request-id"]).not.toBe(miss.headers["x-request-id"]);

  const json = { "content-type": "application/json" };
  const problem = { ...common, "content-type": expect.stringContaining("application/problem+json") };
  expect(await ask("/mine")).toMatchObject({ status: 403, headers: problem });
  expect(await ask("/nothing")).toMatchObject({ status: 404, headers: problem });
  const malformed = await ask("/echo", { method: "POST", headers: json, body: "{" });
  expect(malformed).toMatchObject({ status: 400, headers: problem });
  const whole = await ask("/echo", { method: "POST", headers: json, body: "[1]" });
  expect(whole).toMatchObject({ status: 200, body: "[1]", headers: common });

  const logged = lines.length;
  expect((await ask1(server.url, "/healthz")).status).toBe(204);
  for (let i = 0; i < 294; i++) await ask("/");
  const refused = await ask("/");
  expect(refused).toMatchObject({ status: 429, headers: { ...common, "retry-after": expect.any(String) } });
  const upload = await stalledPost(server, "/echo", { ...json, "content-length": "100" }, "[");
  expect(upload.status).toBe(429);
  expect(lines.length - logged).toBeGreaterThanOrEqual(295);
  expect(lines.some((line) => line.includes("healthz"))).toBe(false);
});
