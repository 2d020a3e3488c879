import { metrics as otel } from "@opentelemetry/api";
import type { DataPoint, Histogram } from "@opentelemetry/sdk-metrics";
import * as conventions from "@opentelemetry/semantic-conventions";
import * as incubating from "@opentelemetry/semantic-conventions/incubating";
import express from "express";
import { Counter, Registry } from "prom-client";
import { requestContext } from "../../src/context/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { methodLabel } from "../../src/lib/http/method.js";
import { metrics } from "../../src/metrics/index.js";
import { BUCKETS } from "../../src/metrics/instruments.js";
import { recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, until } from "../support/server.js";
import { ended, inMeter, inRegistry } from "./support.js";

const DURATION = "http_server_request_duration_seconds";
afterEach(closeServers);
afterEach(() => jest.restoreAllMocks());

function appWith(...handlers: express.RequestHandler[]): express.Express {
  const app = express();
  app.use(...handlers);
  app.get("/item/:id", (_req, res) => void res.send("x"));
  return app;
}

describe("in a registry of prom-client", () => {
  it("the text that Prometheus reads has all instruments, with their types, labels and buckets", async () => {
    const { registry, handler, read } = inRegistry();
    const { url } = await listen(appWith(handler));
    await fetch(`${url}/item/1`);
    await ended(read, DURATION, 1);
    const text = await registry.metrics();
    expect(text.match(/^# TYPE .*$/gm)).toEqual([
      "# TYPE http_server_request_duration_seconds histogram",
      "# TYPE http_server_active_requests gauge",
      "# TYPE portico_refused_total counter",
      "# TYPE portico_cache_total counter",
    ]);
    const labels =
      'http_request_method="GET",http_route="/item/:id",http_response_status_code="200",error_type=""';
    expect(text).toContain(`${DURATION}_count{${labels}} 1`);
    const bounds = [...text.matchAll(/_bucket\{le="([^"]+)"/g)].map(([, bound]) => bound);
    expect(bounds).toEqual("0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf".split(" "));
    expect(text).toContain('http_server_active_requests{http_request_method="GET"} 0');
    // From the start, so that the first refusal is an increase.
    expect(text).toContain('portico_refused_total{by="auth",reason="bad-signature"} 0');
    expect(text).toContain('portico_cache_total{result="hit"} 0');
  });

  it("the duration is in seconds, from the middleware to the end of the response", async () => {
    const { registry, handler, read } = inRegistry();
    let now = 1_000;
    jest.spyOn(performance, "now").mockImplementation(() => now);
    const app = express();
    app.use(handler, (_req, res) => {
      now += 250;
      res.end("x");
    });
    const { url } = await listen(app);
    await fetch(url);
    jest.restoreAllMocks();
    await ended(read, DURATION, 1);
    expect(await registry.metrics()).toMatch(/_duration_seconds_sum\{.*\} 0\.25$/m);
  });

  it("a request is active until its response has ended, also after resetMetrics()", async () => {
    const { registry, handler, read } = inRegistry();
    const app = express();
    let answer = () => {};
    app.use(handler, (_req, res) => {
      answer = () => void res.end("x");
      app.emit("asked");
    });
    const { url } = await listen(app);
    const asked = new Promise((resolve) => app.once("asked", resolve));
    const response = fetch(url, { method: "POST" });
    await asked;
    const active = [{ labels: { http_request_method: "POST" }, value: 1 }];
    expect(await read("http_server_active_requests")).toEqual(active);
    registry.resetMetrics();
    expect(await read("http_server_active_requests")).toEqual(active);
    answer();
    await (await response).text();
    await ended(read, DURATION, 1);
    expect(await read("http_server_active_requests")).toEqual([]);
  });

  it("several metrics with one registry count in the same instruments, a request once", async () => {
    const { registry, handler, read } = inRegistry();
    const other = inRegistry();
    const inner = express.Router().use(metrics({ registry }), other.handler);
    const { url } = await listen(appWith(handler, inner, metrics({ registry }), other.handler));
    for (let i = 0; i < 3; i++) await fetch(`${url}/item/${i}`);
    await ended(other.read, DURATION, 3);
    expect((await read(DURATION)).map(({ value }) => value)).toEqual([3]);
    expect((await other.read(DURATION)).map(({ value }) => value)).toEqual([3]);
  });

  it("another copy of the package counts in the same instruments, and a request that passes both once", async () => {
    const { registry, handler, read } = inRegistry();
    let copy!: typeof metrics;
    jest.isolateModules(() => {
      copy = (require("../../src/metrics/index.js") as { metrics: typeof metrics }).metrics;
    });
    expect(copy).not.toBe(metrics);
    const { url } = await listen(appWith(copy({ registry }), handler));
    await fetch(`${url}/item/1`);
    await ended(read, DURATION, 1);
    expect((await read(DURATION)).map(({ value }) => value)).toEqual([1]);
  });

  it("after registry.clear() a new metrics makes the instruments anew", async () => {
    const { registry } = inRegistry();
    registry.clear();
    metrics({ registry });
    expect(registry.getSingleMetric(DURATION)).toBeDefined();
  });

  it("an app that names its errors after what clients send makes at most 100 names of them", async () => {
    const { handler, read } = inRegistry();
    const app = express();
    app.use(requestContext(), handler);
    app.get("/fails", (req, _res, next) =>
      next(Object.assign(new Error("x"), { name: req.query.name, status: 400 })),
    );
    app.use(recover({ logger: memoryLogger() }));
    const { url } = await listen(app);
    for (let i = 0; i < 130; i++) await fetch(`${url}/fails?name=E${i}`);
    await fetch(`${url}/fails?name=${encodeURIComponent("not a name")}`);
    await ended(read, DURATION, 131);
    const types = (await read(DURATION)).map(({ labels }) => labels.error_type);
    expect(types).toHaveLength(101);
    expect(types.at(-1)).toBe("_OTHER");
  });

  it("a registry that fails does not change the response, and is reported once", async () => {
    const { registry, handler } = inRegistry();
    const written = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    const histogram = registry.getSingleMetric(DURATION) as unknown as { observe: () => void };
    let calls = 0;
    histogram.observe = () => {
      calls++;
      throw new Error("broken");
    };
    const { url } = await listen(appWith(handler));
    for (let i = 0; i < 2; i++) expect((await fetch(`${url}/item/1`)).status).toBe(200);
    await until(() => calls === 2);
    const lines = written.mock.calls
      .map(([text]) => String(text))
      .filter((text) => text.includes("metrics:"));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("broken");
  });
});

describe("in a meter of OpenTelemetry", () => {
  it("the instruments have the names, units and buckets of the semantic conventions", async () => {
    const { handler, exported, read, close } = inMeter();
    const { url } = await listen(appWith(handler));
    await fetch(`${url}/item/1`);
    await ended(read, conventions.METRIC_HTTP_SERVER_REQUEST_DURATION, 1);
    const found = await exported();
    expect(found.map(({ descriptor: { name, unit } }) => [name, unit])).toEqual([
      [conventions.METRIC_HTTP_SERVER_REQUEST_DURATION, "s"],
      [incubating.METRIC_HTTP_SERVER_ACTIVE_REQUESTS, "{request}"],
    ]);
    const [point] = found[0]!.dataPoints as DataPoint<Histogram>[];
    expect(point!.value.buckets.boundaries).toEqual(BUCKETS);
    expect(found[1]!.dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([
      [{ [conventions.ATTR_HTTP_REQUEST_METHOD]: "GET", [conventions.ATTR_URL_SCHEME]: "http" }, 0],
    ]);
    await close();
  });

  it("every method whose value is stable in the conventions is kept, all others are _OTHER", () => {
    const values = Object.entries(incubating)
      .filter(([name]) => name.startsWith("HTTP_REQUEST_METHOD_VALUE_"))
      .map(([, value]) => value as string);
    expect(values).toContain("QUERY");
    const stable = values.filter(
      (value) => `HTTP_REQUEST_METHOD_VALUE_${value.replace(/^_/, "")}` in conventions,
    );
    expect(stable.sort()).toEqual("CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE _OTHER".split(" "));
    for (const value of stable) expect(methodLabel(value)).toBe(value);
    for (const value of ["QUERY", "get", "BREW", "", "constructor"])
      expect(methodLabel(value)).toBe("_OTHER");
  });

  it("the scheme is that of the client, behind a trusted proxy too, and never what a client made up", async () => {
    const { handler, read, close } = inMeter();
    const app = appWith(handler).set("trust proxy", "loopback");
    const { url } = await listen(app);
    await fetch(`${url}/item/1`, { headers: { "x-forwarded-proto": "https" } });
    await fetch(`${url}/item/1`, { headers: { "x-forwarded-proto": "gopher" } });
    await ended(read, "http.server.request.duration", 2);
    const schemes = (await read("http.server.request.duration")).map(({ labels }) => labels["url.scheme"]);
    expect(schemes).toEqual(["https", "http"]);
    await close();
  });

  it("several metrics with one meter count a request once", async () => {
    const { meter, handler, read, close } = inMeter();
    const { url } = await listen(appWith(handler, metrics({ meter }), metrics({ meter })));
    await fetch(`${url}/item/1`);
    await ended(read, "http.server.request.duration", 1);
    expect((await read("http.server.request.duration")).map(({ value }) => value)).toEqual([1]);
    await close();
  });

  it("without an SDK nothing is counted, and requests are answered", async () => {
    const { url } = await listen(appWith(metrics({ meter: otel.getMeter("none") })));
    expect((await fetch(`${url}/item/1`)).status).toBe(200);
  });
});

describe("options", () => {
  const problemsOf = (make: () => unknown) => {
    try {
      make();
    } catch (error) {
      if (error instanceof ConfigError)
        return error.problems.map(({ option, code, reason }) => [option, code, reason]);
      throw error;
    }
    return [];
  };
  const registry = new Registry();
  const { meter, close } = inMeter();
  afterAll(close);

  it.each([
    [undefined, "registry", "ERR_PORTICO_MISSING_OPTION", /give registry .* or meter/],
    [{}, "registry", "ERR_PORTICO_MISSING_OPTION", /give registry .* or meter/],
    [{ registry: undefined }, "registry", "ERR_PORTICO_MISSING_OPTION", /is missing/],
    [{ registry, meter }, "registry", "ERR_PORTICO_CONFLICTING_OPTIONS", /cannot be combined with meter/],
    [{ registry: {} }, "registry", "ERR_PORTICO_INVALID_OPTION", /must be a Registry of prom-client/],
    [{ registry: require("prom-client") }, "registry", "ERR_PORTICO_INVALID_OPTION", /give its `register`/],
    [{ registry: meter }, "registry", "ERR_PORTICO_INVALID_OPTION", /metrics\(\{ meter \}\)/],
    [{ meter: otel }, "meter", "ERR_PORTICO_INVALID_OPTION", /getMeter\(name\)/],
    [{ meter: registry }, "meter", "ERR_PORTICO_INVALID_OPTION", /metrics\(\{ registry \}\)/],
    [{ meter: null }, "meter", "ERR_PORTICO_INVALID_OPTION", /must be a meter of OpenTelemetry/],
  ])("%#: %p is a problem", (options, option, code, reason) => {
    expect(problemsOf(() => metrics(options as never))).toEqual([
      [option, code, expect.stringMatching(reason)],
    ]);
  });

  it("names of other packages' options get their replacement", () => {
    const problems = problemsOf(() => metrics({ registry, normalizePath: true, prefix: "a" } as never));
    expect(problems).toEqual([
      ["normalizePath", "ERR_PORTICO_FOREIGN_OPTION", expect.stringContaining("template")],
      ["prefix", "ERR_PORTICO_FOREIGN_OPTION", expect.stringContaining("OpenTelemetry")],
    ]);
  });

  it("a registry in which something else has the names is a problem, and stays as it was", () => {
    const taken = new Registry();
    new Counter({ name: "portico_cache_total", help: "x", registers: [taken] });
    expect(problemsOf(() => metrics({ registry: taken }))).toEqual([
      [
        "registry",
        "ERR_PORTICO_CONFLICTING_OPTIONS",
        expect.stringContaining("already has portico_cache_total"),
      ],
    ]);
    expect(taken.getMetricsAsArray()).toHaveLength(1);
  });
});
