import express, { Router } from "express";
import { Counter, Registry } from "prom-client";
import { around } from "../../../src/index.js";
import { ask1 } from "../../support/http2.js";
import { closeServers, listen, raw, type TestServer, until } from "../../support/server.js";
import { captureOutput, listenToExample, stalledPost, statusOf } from "./support.js";

afterEach(async () => {
  jest.restoreAllMocks();
  await closeServers();
});

const noBody = { "content-length": "0" };

describe("the example", () => {
  let lines: string[];
  let server: TestServer;
  beforeEach(async () => {
    lines = captureOutput();
    server = await listenToExample("prom-client");
  });
  const metrics = async () => (await ask1(server.url, "/metrics")).body;
  const countOf = (route: string, status: number) =>
    `http_request_duration_seconds_count{method="GET",route="${route}",status="${status}"}`;

  it("has one series for each route, and one for all requests without a route", async () => {
    for (let i = 0; i < 3; i++) {
      await statusOf(server, `/tenant-${i}/orders/${i}`);
      await statusOf(server, `/nothing/at/all/${i}`);
    }
    await until(() => lines.length === 6);
    const counts = (await metrics()).split("\n").filter((line) => line.includes("_count"));
    expect(counts).toEqual([`${countOf("/:tenant/orders/:id", 200)} 3`, `${countOf("none", 404)} 3`]);
  });

  it("counts seconds, and a client that left as 499", async () => {
    await raw(server.port, "GET /a/slow HTTP/1.1\r\nHost: x\r\n\r\n", 300);
    await until(() => lines.length === 1);
    const text = await metrics();
    expect(text).toContain(`${countOf("/:tenant/slow", 499)} 1`);
    const sum = /_sum\{.*status="499"\} (.*)/.exec(text)![1];
    expect(Number(sum)).toBeGreaterThan(0.2);
    expect(Number(sum)).toBeLessThan(100);
  });

  it("counts the requests in progress", async () => {
    const leaving = raw(server.port, "GET /a/slow HTTP/1.1\r\nHost: x\r\n\r\n", 300);
    while (!(await metrics()).includes("\nhttp_requests_under_way 1")) await new Promise(setImmediate);
    await leaving;
    await until(() => lines.length === 1);
    expect(await metrics()).toContain("\nhttp_requests_under_way 0");
  });

  it("the metrics route is neither logged nor counted", async () => {
    await metrics();
    await statusOf(server, "/tenant/orders/1");
    await until(() => lines.length === 1);
    expect(await metrics()).not.toContain('route="/metrics"');
  });
});

it("'finish' misses clients that leave, around does not; req.path makes a series for each path", async () => {
  const registry = new Registry();
  const counter = (name: string, label: string) =>
    new Counter({ name, help: name, labelNames: [label], registers: [registry] });
  const finished = counter("finished", "status");
  const ended = counter("ended", "status");
  const paths = counter("paths", "path");
  const routes = counter("routes", "route");

  const app = express();
  app.use((_req, res, next) => {
    res.on("finish", () => finished.inc({ status: res.statusCode }));
    next();
  });
  app.use(
    around(async (req, _res, next) => {
      const { path } = req;
      const { status } = await next();
      ended.inc({ status });
      paths.inc({ path });
      routes.inc({ route: req.route?.path ?? "none" });
    }),
  );
  const orders = Router();
  orders.get("/orders/:id", (_req, res) => void res.send("one"));
  orders.post("/slow", () => {});
  app.use("/:tenant", orders);
  const server = await listen(app);
  await statusOf(server, "/a/orders/1");
  await statusOf(server, "/b/orders/2");
  await stalledPost(server, "/a/slow", noBody, "");

  const values = async (name: string) =>
    Object.fromEntries(
      (await registry.getSingleMetric(name)!.get()).values.map(({ labels, value }) => [
        Object.values(labels)[0],
        value,
      ]),
    );
  const deadline = performance.now() + 5_000;
  while (!("499" in (await values("ended"))) && performance.now() < deadline) await new Promise(setImmediate);
  expect(await values("ended")).toEqual({ 200: 2, 499: 1 });
  expect(await values("finished")).toEqual({ 200: 2 });
  expect(await values("paths")).toEqual({ "/a/orders/1": 1, "/b/orders/2": 1, "/a/slow": 1 });
  expect(await values("routes")).toEqual({ "/orders/:id": 2, "/slow": 1 });
});
