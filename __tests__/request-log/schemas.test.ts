import type { IncomingMessage } from "node:http";
import express from "express";
import fc from "fast-check";
import request from "supertest";
import { mapEntry } from "../../src/request-log/formats/index.js";
import { type RequestLogEntry, requestLog } from "../../src/request-log/index.js";
import { closeHttp2 } from "../support/http2.js";
import { closeServers } from "../support/server.js";
import { ECS, faultsOf, namesOf, OTEL } from "./field-lists.js";
import { memoryStream } from "./memory.js";
import { logOfEveryKind } from "./requests.js";

type Logged = Map<string, Record<string, unknown>>;
const logs: Record<"ecs" | "otel", Logged> = { ecs: new Map(), otel: new Map() };

beforeAll(async () => {
  for (const schema of ["ecs", "otel"] as const) {
    logs[schema] = await logOfEveryKind({ schema });
    const immediate = await logOfEveryKind({ schema, immediate: true });
    logs[schema].set("immediate", immediate.get("ok")!);
  }
  await closeServers();
  await closeHttp2();
}, 30_000);

describe.each([
  ["ecs", ECS],
  ["otel", OTEL],
] as const)("schema %s", (schema, list) => {
  it("every field of every kind of request is in the list, and of its type", () => {
    const faults = [...logs[schema]].flatMap(([kind, record]) =>
      faultsOf(list, record).map((fault) => `${kind}: ${fault}`),
    );
    expect(faults).toEqual([]);
    expect(logs[schema].size).toBe(24);
  });

  it("every name in the list is used by some kind of request", () => {
    const used = new Set([...logs[schema].values()].flatMap((record) => Object.keys(record)));
    // The stack is only in records of a logger that recover has too: together/one-record.test.ts.
    const missing = namesOf(list).filter((name) => !used.has(name));
    expect(missing).toEqual([schema === "ecs" ? "error.stack_trace" : "exception.stacktrace"]);
  });

  it("the fields of any entry are in the list", () => {
    fc.assert(
      fc.property(entries, hosts, (entry, host) => {
        const req = { headers: { host }, socket: { remoteAddress: "127.0.0.1", remotePort: 5 } };
        const record = mapEntry[schema](entry, req as unknown as IncomingMessage);
        expect(faultsOf(list, JSON.parse(JSON.stringify(record)))).toEqual([]);
      }),
    );
  });
});

it("the attributes' names are those that OpenTelemetry publishes, but for our own, which begin with portico.", () => {
  const published = require("@opentelemetry/semantic-conventions/incubating") as Record<string, unknown>;
  const names = new Set(Object.values(published).filter((value) => typeof value === "string"));
  const ofTheRecord = new Set([
    "timestamp",
    "severity_text",
    "severity_number",
    "body",
    "trace_id",
    "span_id",
    "trace_flags",
    ...["portico.refused.by", "portico.refused.reason"],
  ]);
  const unknown = namesOf(OTEL).filter((name) => !names.has(name) && !ofTheRecord.has(name));
  expect(unknown).toEqual([]);
  expect((published.ATTR_HTTP_REQUEST_HEADER as (key: string) => string)("x-a")).toBe(
    "http.request.header.x-a",
  );
  expect((published.ATTR_HTTP_RESPONSE_HEADER as (key: string) => string)("x-a")).toBe(
    "http.response.header.x-a",
  );
});

const N = undefined;

/** Status; outcome (ECS); error.type and exception.type (OpenTelemetry); level. */
const KINDS: [string, number | undefined, string, string | undefined, string | undefined, string][] = [
  ["ok", 200, "success", N, N, "info"],
  ["immediate", N, "unknown", N, N, "info"],
  ["unmatched", 404, "failure", N, N, "warn"],
  ["client's error", 422, "failure", N, "Error", "warn"],
  ["thrown", 500, "failure", "RangeError", "RangeError", "error"],
  ["unavailable", 503, "failure", "503", N, "error"],
  ["timed out", 503, "failure", "timeout", N, "error"],
  ["aborted before the head", 499, "failure", N, N, "info"],
  ["aborted in the body", 200, "unknown", N, N, "info"],
  ["aborted in a failure's body", 503, "failure", "503", N, "error"],
  ["truncated by the server", 200, "failure", "TypeError", "TypeError", "error"],
  ["dropped by the server", 444, "failure", N, N, "warn"],
  ["cached", 200, "success", N, N, "info"],
];
it.each(KINDS)("%s: status %p, outcome %s, error %p, exception %p, level %s", (kind, ...expected) => {
  const ecs = logs.ecs.get(kind)!;
  const otel = logs.otel.get(kind)!;
  expect([
    ecs["http.response.status_code"],
    ecs["event.outcome"],
    otel["error.type"],
    otel["exception.type"],
    ecs["log.level"],
  ]).toEqual(expected);
  const sent = /before the head|dropped/.test(kind) ? undefined : ecs["http.response.status_code"];
  expect(otel["http.response.status_code"]).toBe(sent);
  expect(otel.severity_text).toBe((ecs["log.level"] as string).toUpperCase());
  expect(ecs["error.type"]).toBe(otel["exception.type"]);
});

it("durations are nanoseconds in ecs and seconds in otel", () => {
  // A timeout of 5 ms: not less, and on a busy machine not a thousand times more.
  const nanoseconds = logs.ecs.get("timed out")!["event.duration"] as number;
  const seconds = logs.otel.get("timed out")!["http.server.request.duration"] as number;
  expect(nanoseconds).toBeGreaterThan(4e6);
  expect(nanoseconds).toBeLessThan(5e9);
  expect(seconds).toBeGreaterThan(0.004);
  expect(seconds).toBeLessThan(5);
});

it.each([
  ["ecs", "log.level", "warn"],
  ["otel", "severity_text", "WARN"],
  ["plain", "level", "warn"],
] as const)("in schema %s a slow request is raised to %s %s", async (schema, name, level) => {
  const stream = memoryStream();
  const app = express();
  app.use(requestLog({ stream, format: "json", schema, slowMs: 3 }));
  app.get("/slow", (_req, res) => void setTimeout(() => res.send("x"), 6));
  await request(app).get("/slow");
  expect(stream.entries).toEqual([expect.objectContaining({ [name]: level })]);
});

it("the trace, the span and the flags are the caller's", () => {
  expect(logs.ecs.get("ok")).toMatchObject({
    "trace.id": "0af7651916cd43dd8448eb211c80319c",
    "span.id": "b7ad6b7169203331",
  });
  expect(logs.otel.get("ok")).toMatchObject({
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    span_id: "b7ad6b7169203331",
    trace_flags: "01",
  });
});

it("in otel, a method that a client has made up is _OTHER", () => {
  expect(logs.otel.get("unknown method")).toMatchObject({
    "http.request.method": "_OTHER",
    "http.request.method_original": "PROPFIND",
  });
  expect(logs.otel.get("ok")).not.toHaveProperty(["http.request.method_original"]);
});

it("routes are templates, and left out if no route matched", () => {
  expect(logs.otel.get("ok")!["http.route"]).toBe("/hello/:name");
  expect(logs.ecs.get("ok")!["labels.route"]).toBe("/hello/:name");
  expect(logs.otel.get("unmatched")).not.toHaveProperty(["http.route"]);
});

it.each([
  "HTTP/2",
  "HTTP/2, connection gone",
])("%s: the scheme, the authority and the peer are known", (kind) => {
  expect(logs.otel.get(kind)).toMatchObject({
    "url.scheme": "https",
    "server.address": "localhost",
    "server.port": expect.any(Number),
    "network.peer.address": "127.0.0.1",
    "network.peer.port": expect.any(Number),
    "network.protocol.version": "2",
  });
  expect(logs.ecs.get(kind)).toMatchObject({ "url.domain": "localhost", "http.version": "2.0" });
});

it("scheme, host and address are read from a proxy that the app trusts, and from no other", () => {
  expect(logs.otel.get("behind a proxy")).toMatchObject({
    "url.scheme": "https",
    "server.address": "shop.example",
    "server.port": 8443,
    "client.address": "fe80::1%eth0",
    "network.peer.address": "127.0.0.1",
  });
  // What Elasticsearch's type `ip` does not take is an address only.
  expect(logs.ecs.get("behind a proxy")).not.toHaveProperty(["client.ip"]);
  expect(logs.otel.get("ok")).toMatchObject({ "url.scheme": "http", "server.address": "127.0.0.1" });
});

it("an invalid host is left out; a Unix socket has no addresses", () => {
  expect(logs.otel.get("strange host")).not.toHaveProperty(["server.address"]);
  expect(logs.otel.get("strange host")).not.toHaveProperty(["server.port"]);
  for (const name of ["client.address", "network.peer.address", "network.peer.port"]) {
    expect(logs.otel.get("Unix socket")).not.toHaveProperty([name]);
  }
});

it("values without a field in the schemas are labels, and part of the message", () => {
  expect(logs.ecs.get("cached")!["labels.cache"]).toBe("hit");
  expect(logs.ecs.get("timed out")!["labels.timed_out"]).toBe("true");
  expect(logs.ecs.get("aborted in the body")!["labels.aborted"]).toBe("true");
  expect(logs.ecs.get("headers")).toMatchObject({
    "labels.request_header_accept-language": "en",
    "labels.request_header_x_dotted": "1",
  });
  expect(logs.otel.get("aborted in the body")!.body).toBe("GET /half 200 aborted");
  expect(logs.otel.get("timed out")!.body).toBe("GET /slow 503 timed out");
  expect(logs.otel.get("headers")!["http.response.header.x-request-id"]).toEqual([
    logs.otel.get("headers")!["http.response.header.x-request-id"]?.toString(),
  ]);
});

const hosts = fc.oneof(fc.string(), fc.domain(), fc.constantFrom("[::1]:80", "a:0", "a:70000", undefined));
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const flag = fc.constantFrom(true as const, undefined);

const entries: fc.Arbitrary<RequestLogEntry> = fc.record({
  time: fc
    .date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true })
    .map((at) => at.toISOString()),
  level: fc.constantFrom("debug", "info", "warn", "error"),
  requestId: optional(fc.uuid()),
  traceId: fc.constant(undefined),
  method: fc.string({ minLength: 1 }),
  path: fc.webPath(),
  query: optional(fc.webQueryParameters()),
  route: optional(fc.string()),
  status: fc.integer({ min: 100, max: 999 }),
  durationMs: fc.double({ min: 0.002, max: 59_000, noNaN: true }),
  headersMs: optional(fc.double({ min: 0, max: 1, noNaN: true })),
  responseBytes: optional(fc.nat()),
  remoteAddress: fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom("-", "fe80::1%eth0", "unknown", "1.2.3.4:80"),
  ),
  httpVersion: fc.constantFrom("1.0", "1.1", "2.0"),
  userAgent: optional(fc.string()),
  referrer: optional(fc.string()),
  user: optional(fc.oneof(fc.string(), fc.integer())),
  aborted: flag,
  timedOut: flag,
  cache: optional(fc.constantFrom("hit", "miss", "stale", "bypass")),
  refused: fc.constantFrom(undefined, { by: "auth", reason: "expired" }),
  error: optional(fc.record({ type: fc.string(), message: fc.string(), stack: optional(fc.string()) })),
  headers: optional(fc.dictionary(fc.stringMatching(/^[a-z!#$'*^_`|~.-]{1,9}$/), fc.string())),
  immediate: flag,
});
