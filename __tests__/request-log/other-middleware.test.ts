import type { IncomingMessage } from "node:http";
import express from "express";
import request from "supertest";
import { requestContext } from "../../src/context/index.js";
import { type Auth, type RequestState, stateOf } from "../../src/lib/request/state.js";
import { mapEntry } from "../../src/request-log/formats/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { memoryStream } from "./memory.js";

function app(
  learn: (state: RequestState, req: express.Request) => void,
  before: express.RequestHandler[] = [],
) {
  const stream = memoryStream();
  const server = express();
  server.use(...before, requestLog({ stream, format: "json" }), (req, res) => {
    learn(stateOf(req), req);
    res.send("x");
  });
  return { stream, server };
}

const PRINCIPALS: [Record<string, unknown>, unknown][] = [
  [{ name: "ada", sub: "s", id: 1 }, "ada"],
  [{ sub: "s", id: 1 }, "s"],
  [{ id: 7 }, 7],
  [{ name: { first: "ada" }, id: "i" }, "i"],
  [{ name: "" }, undefined],
  [{ name: ["x"], sub: null, id: true }, undefined],
  [
    Object.defineProperty({}, "name", {
      get: () => {
        throw new Error("no");
      },
    }),
    undefined,
  ],
  [{}, undefined],
];

describe("requestLog logs what other middleware has set", () => {
  it.each(PRINCIPALS)("the user of %j is %j", async (principal, user) => {
    const { stream, server } = app((state) => {
      state.auth = { scheme: "bearer", principal } as Auth;
    });
    await request(server).get("/").expect(200);
    expect(stream.entries[0]!.user).toBe(user);
  });

  it("the result of the cache, the timeout, the route of another middleware", async () => {
    const { stream, server } = app((state) => {
      state.cache = "hit";
      state.timedOut = true;
      state.route = "/known/:x";
    });
    await request(server).get("/known/1");
    expect(stream.entries[0]).toMatchObject({ cache: "hit", timedOut: true, route: "/known/:x" });
  });

  it("id and trace from requestContext, and none without it", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const alone = app(() => {});
    await request(alone.server).get("/").set("traceparent", traceparent).set("X-Request-Id", "mine");
    expect(alone.stream.entries[0]).not.toHaveProperty("requestId");
    expect(alone.stream.entries[0]).not.toHaveProperty("traceId");
    const { stream, server } = app(() => {}, [requestContext()]);
    const answer = await request(server).get("/").set("traceparent", traceparent);
    expect(stream.entries[0]).toMatchObject({
      requestId: answer.headers["x-request-id"],
      traceId: "0af7651916cd43dd8448eb211c80319c",
    });
  });

  const ADDRESSES: [string, unknown, string, string][] = [
    ["no proxy is trusted by default", false, "1.2.3.4", "127.0.0.1"],
    ["a trusted proxy is believed", "loopback", "1.2.3.4", "1.2.3.4"],
    ["IPv4 in IPv6 is IPv4", true, "::ffff:1.2.3.4", "1.2.3.4"],
    ["a port behind it is left out", true, "203.0.113.9:51234", "203.0.113.9"],
    ["a port behind IPv6 in brackets too", true, "[2001:db8::1]:443", "2001:db8::1"],
    ["brackets without a port", true, "[2001:db8::1]", "2001:db8::1"],
    ["IPv4 in IPv6 with a port", true, "[::ffff:1.2.3.4]:5", "1.2.3.4"],
    ["a zone stays", true, "[fe80::1%eth0]:5", "fe80::1%eth0"],
    ["of a list the client's is taken", true, "203.0.113.9:51234, 10.0.0.1:80", "203.0.113.9"],
    ["IPv6 whose end looks like a port is whole", true, "2001:db8::8080", "2001:db8::8080"],
    ["what is no port stays as it came", true, "1.2.3.4:x", "1.2.3.4:x"],
    ["IPv6 is bare", true, "2001:db8::1", "2001:db8::1"],
    ["what cannot be an address is not one", true, 'evil"\t<x>', "127.0.0.1"],
    [
      "a trust function that throws",
      () => {
        throw new Error("no");
      },
      "1.2.3.4",
      "127.0.0.1",
    ],
  ];
  it.each(ADDRESSES)("the client's address: %s", async (_name, trust, forwarded, expected) => {
    const { stream, server } = app(() => {});
    server.set("trust proxy", trust);
    await request(server).get("/").set("X-Forwarded-For", forwarded).expect(200);
    expect(stream.entries[0]!.remoteAddress).toBe(expected);
  });
});

describe("the schemas", () => {
  const entry = {
    time: "2026-01-01T00:00:00.000Z",
    level: "error",
    requestId: "r",
    traceId: "t",
    method: "BREW",
    path: "/p",
    query: "a=1",
    route: "/:x",
    status: 500,
    durationMs: 12.345,
    headersMs: 1,
    responseBytes: 9,
    remoteAddress: "1.2.3.4",
    httpVersion: "1.1",
    userAgent: "ua",
    referrer: "http://r/",
    user: 7,
    error: { type: "TypeError", message: "m" },
    headers: { "x-a": "1" },
  } as never;
  const req = {
    headers: { host: "[::1]:8080" },
    socket: { remoteAddress: "::ffff:127.0.0.1", remotePort: 5, encrypted: true },
  } as unknown as IncomingMessage;

  it("ecs: Elastic's names, whole nanoseconds", () => {
    expect(JSON.parse(JSON.stringify(mapEntry.ecs(entry, req)))).toEqual({
      "@timestamp": "2026-01-01T00:00:00.000Z",
      "log.level": "error",
      message: "BREW /p 500",
      "ecs.version": "9.0.0",
      "event.kind": "event",
      "event.category": ["web"],
      "event.type": ["access"],
      "event.outcome": "failure",
      "event.duration": 12_345_000,
      "http.request.id": "r",
      "http.request.method": "BREW",
      "http.request.referrer": "http://r/",
      "labels.request_header_x-a": "1",
      "labels.route": "/:x",
      "http.response.body.bytes": 9,
      "http.response.status_code": 500,
      "http.version": "1.1",
      "url.original": "/p?a=1",
      "url.path": "/p",
      "url.query": "a=1",
      "url.scheme": "https",
      "url.domain": "[::1]",
      "url.port": 8080,
      "client.address": "1.2.3.4",
      "client.ip": "1.2.3.4",
      "user.name": "7",
      "user_agent.original": "ua",
      "trace.id": "t",
      "error.type": "TypeError",
      "error.message": "m",
    });
  });

  it("otel: the conventions' names, seconds, an unknown method as _OTHER", () => {
    expect(JSON.parse(JSON.stringify(mapEntry.otel(entry, req)))).toEqual({
      timestamp: "2026-01-01T00:00:00.000Z",
      severity_text: "ERROR",
      severity_number: 17,
      body: "BREW /p 500",
      trace_id: "t",
      "http.request.method": "_OTHER",
      "http.request.method_original": "BREW",
      "http.request.header.x-a": ["1"],
      "http.response.header.x-request-id": ["r"],
      "http.route": "/:x",
      "http.response.status_code": 500,
      "http.response.body.size": 9,
      "http.server.request.duration": 0.012345,
      "url.scheme": "https",
      "url.path": "/p",
      "url.query": "a=1",
      "client.address": "1.2.3.4",
      "network.peer.address": "127.0.0.1",
      "network.peer.port": 5,
      "network.protocol.version": "1.1",
      "server.address": "::1",
      "server.port": 8080,
      "user_agent.original": "ua",
      "user.name": "7",
      "error.type": "TypeError",
      "exception.type": "TypeError",
      "exception.message": "m",
    });
  });
});
