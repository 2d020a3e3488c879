import { until } from "../support/server.js";
import { ask, buildApp, endPrograms, type Program, removePrograms, startProgram } from "./support.js";

const CALLER = "4bf92f3577b34da6a3ce929d0e0e4736";
let program: Program;

/** The server's span of a path, and the record of the request log. */
async function spanAndRecord(path: string) {
  const spans = () =>
    program.lines.filter(({ by, attributes }) => by?.endsWith("-http") && attributes["url.path"] === path);
  const records = () => program.lines.filter((line) => line.body !== undefined && line["url.path"] === path);
  await until(() => spans().length > 0 && records().length > 0);
  expect([spans().length, records().length]).toEqual([1, 1]);
  return { span: spans()[0], record: records()[0] };
}

// In development, so that requestContext checks the order of the app's middleware, which the instrumentation has wrapped.
beforeAll(async () => {
  program = await startProgram(buildApp("opentelemetry"), {
    node: ["--import", buildApp("opentelemetry-start")],
    env: { NODE_ENV: "development" },
  });
});
afterAll(async () => {
  await endPrograms();
  removePrograms();
});

it.each<[string, string, string | undefined, number, string | undefined]>([
  ["/api/acme/orders/7", "GET /api/:tenant/orders/:id", "/api/:tenant/orders/:id", 200, undefined],
  [
    "/api/acme/orders/7/broken",
    "GET /api/:tenant/orders/:id/broken",
    "/api/:tenant/orders/:id/broken",
    500,
    "TypeError",
  ],
  ["/nowhere", "GET", undefined, 404, undefined],
  ["/never", "GET /never", "/never", 503, "timeout"],
])("%s: the server's span is %j, and the log has its ids and its route", async (path, name, route, status, error) => {
  await ask(program.url + path);
  const { span, record } = await spanAndRecord(path);
  expect(span.span).toBe(name);
  expect([span.attributes["http.route"], record["http.route"]]).toEqual([route, route]);
  expect([span.attributes["http.response.status_code"], record["http.response.status_code"]]).toEqual([
    status,
    status,
  ]);
  expect([span.attributes["error.type"], record["error.type"]]).toEqual([error, error]);
  expect([record.trace_id, record.span_id, record.trace_flags]).toEqual([span.traceId, span.spanId, "01"]);
  expect(span.code).toBe(status >= 500 ? 2 : 0);
  expect(span.errors).toEqual(error === "TypeError" ? ["the order is broken"] : []);
});

it("the trace of the caller goes on: through the span, the log, and the traceparent that the handler sends", async () => {
  const parent = `00-${CALLER}-00f067aa0ba902b7-01`;
  const { text } = await ask(`${program.url}/api/acme/orders/8`, { headers: { traceparent: parent } });
  const { span, record } = await spanAndRecord("/api/acme/orders/8");
  expect([span.traceId, record.trace_id, span.parent]).toEqual([CALLER, CALLER, "00f067aa0ba902b7"]);
  expect(JSON.parse(text)).toEqual({ traceparent: `00-${CALLER}-${span.spanId}-01` });
});

it("each middleware has the span of instrumentation-express, with its name, in the server's span", async () => {
  const { span } = await spanAndRecord("/api/acme/orders/8");
  const inner = program.lines
    .filter(({ parent, by }) => parent === span.spanId && by.endsWith("-express"))
    .map((one) => one.span);
  expect(inner).toEqual([
    "middleware - requestContext",
    "middleware - requestLog",
    "middleware - metrics",
    "middleware - securityHeaders",
    "middleware - jsonParser",
    "router - /:id",
    "request handler",
  ]);
});

it("the order of the wrapped middleware is still read: a fault is reported, and without one nothing is", async () => {
  const faults = ({ lines }: Program) => lines.flatMap(({ rule }) => rule ?? []);
  expect(faults(program)).toEqual([]);
  const faulty = await startProgram(buildApp("opentelemetry"), {
    node: ["--import", buildApp("opentelemetry-start")],
    env: { NODE_ENV: "development", FAULTY: "1" },
  });
  await ask(`${faulty.url}/inner`);
  await faulty.end();
  expect(faults(faulty)).toEqual(["log-not-first", "context-not-first", "metrics-late"]);
});

it("the metrics are counted once, with the same routes, and printed when the server has closed", async () => {
  expect(await program.end()).toEqual({ code: 0, signal: null });
  const counts = program.lines
    .filter(({ metric }) => metric === "http.server.request.duration")
    .map(({ by, attributes, count }) => [
      by,
      attributes["http.route"],
      attributes["http.response.status_code"],
      count,
    ]);
  expect(counts.sort()).toEqual(
    [
      ["express-portico", "/api/:tenant/orders/:id", 200, 2],
      ["express-portico", "/api/:tenant/orders/:id/broken", 500, 1],
      ["express-portico", "/inner", 200, 2],
      ["express-portico", "/never", 503, 1],
      ["express-portico", undefined, 404, 1],
    ].sort(),
  );
});
