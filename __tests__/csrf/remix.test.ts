import express from "express";
import request from "supertest";
import { unless } from "../../src/chain/index.js";
import { requestContext } from "../../src/context/index.js";
import { csrf } from "../../src/csrf/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";

// What the tests of Remix's cop middleware expect, as facts. Paths are exempted by `unless`, and answers changed by `render`.

const HOST = "example.com";
const FORGED = { Origin: "https://attacker.example", "Sec-Fetch-Site": "cross-site" };

function post(app: express.Express, path: string, headers: Record<string, string>) {
  return request(app)
    .post(path)
    .set({ Host: HOST, ...headers });
}

it.each<[Record<string, string>, number]>([
  [{ "Sec-Fetch-Site": "same-origin" }, 200],
  [{ "Sec-Fetch-Site": "none" }, 200],
  [{ "Sec-Fetch-Site": "cross-site" }, 403],
  [{ "Sec-Fetch-Site": "same-site" }, 403],
  [{ Origin: "https://example.com" }, 200],
  [{ Origin: "https://attacker.example" }, 403],
  [{}, 200],
  [{ Origin: "https://trusted.example", "Sec-Fetch-Site": "cross-site" }, 200],
])("POST with %j: %i", async (headers, status) => {
  const app = express();
  app.use(csrf({ trustedOrigins: ["https://trusted.example"] }), (_req, res) => void res.send("ok"));
  expect((await post(app, "/", headers)).status).toBe(status);
});

it.each(["get", "head", "options"] as const)("%s of another site passes", async (method) => {
  const app = express();
  app.use(csrf(), (_req, res) => void res.send("ok"));
  await request(app)[method]("/").set(FORGED).expect(200);
});

it.each([
  ["/bypass/", 200],
  ["/only/123", 200],
  ["/bypass", 403],
  ["/only/", 403],
  ["/only/1/2", 403],
  ["/", 403],
])("an exempted path is exempted exactly: POST %s: %i", async (path, status) => {
  const app = express();
  app.use(unless((req) => req.path === "/bypass/" || /^\/only\/[^/]+$/.test(req.path), csrf()));
  app.use((_req, res) => void res.send("ok"));
  expect((await post(app, path, FORGED)).status).toBe(status);
});

it("an app writes the refusal itself", async () => {
  const app = express();
  app.use(
    requestContext({
      check: false,
      render: (problem, _req, res) => void res.send(`custom: ${problem.status}`),
    }),
    csrf(),
  );
  const { status, text } = await post(app, "/", FORGED);
  expect([status, text]).toEqual([403, "custom: 403"]);
});

it.each([
  ["https://example.com/"],
  ["null"],
  ["/foo"],
  ["https://example.com/path"],
  ["https://*.example.com"],
])("a trusted origin %s is a problem", (origin) => {
  expect(() => csrf({ trustedOrigins: [origin] })).toThrow(ConfigError);
});
