import { randomBytes } from "node:crypto";
import { driver } from "../../bench/harness.js";
import { expressVersions } from "../support/express.js";
import { inRegistry } from "./support.js";

jest.setTimeout(600_000);

const METHODS = ["GET", "POST", "BREW", "get"];
const word = () => randomBytes(6).toString("base64url");
/** Under every router of the app, so that also mounted templates are looked up. */
const PATHS = [
  () => `/${word()}`,
  () => `/api/${word()}/item/${word()}`,
  () => `/API/${word()}/ITEM/${word()}?${word()}`,
  () => `/item/${word()}`,
];
const anyOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!;

it.each(expressVersions)("random paths, methods and hosts add no series, on %s", async (_version, from) => {
  const { registry, read, handler } = inRegistry();
  const app = from();
  app.use(handler);
  const router = from.Router({ mergeParams: true });
  router.all("/item/:id", (_req, res) => void res.send("x"));
  app.use("/api/:tenant", router);
  app.all("/item/:id", (_req, res) => void res.send("x"));
  app.use((_req, res) => void res.status(404).send("none"));
  const count = Math.ceil(100_000 / expressVersions.length);
  for (let i = 0; i < count; i++) {
    const method = Math.random() < 0.2 ? word().toUpperCase() : anyOf(METHODS);
    await driver(app, {
      method,
      url: anyOf(PATHS)(),
      headers: { host: `${word()}.example`, "x-forwarded-proto": word() },
    })(1);
  }
  const points = await read("http_server_request_duration_seconds");
  expect(points.reduce((sum, { value }) => sum + value, 0)).toBe(count);
  expect(new Set(points.map(({ labels }) => labels.http_route))).toEqual(
    new Set(["", "/api/:tenant/item/:id", "/item/:id"]),
  );
  expect(new Set(points.map(({ labels }) => labels.http_request_method))).toEqual(
    new Set(["GET", "POST", "_OTHER"]),
  );
  expect(points.length).toBeLessThanOrEqual(9); // three routes, three methods
  expect((await registry.metrics()).split("\n").length).toBeLessThan(9 * 17 + 60);
});
