import { cpSync, mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import express from "express";
import morgan from "morgan";
import request from "supertest";
import { apiKey, authenticate, authorize, basic, bearer, requireScopes } from "../../src/auth/index.js";
import { requestContext } from "../../src/context/index.js";
import { type Auth, type RequestState, stateOf } from "../../src/lib/request/state.js";
import { mapEntry } from "../../src/request-log/formats/index.js";
import { type RequestLogEntry, type RequestLogOptions, requestLog } from "../../src/request-log/index.js";
import { timeout } from "../../src/timeout/index.js";
import { memoryLogger } from "../support/logger.js";
import { memoryStream } from "./memory.js";

describe("other middleware", () => {
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

    describe("the route and the trace", () => {
      /** Sends a request, and returns how often the log has read its route, and what it has logged. */
      async function logged(options: RequestLogOptions) {
        const stream = memoryStream();
        const server = express();
        let states!: RequestState;
        let reads = 0;
        server.use(requestContext(), requestLog({ stream, ...options }));
        server.get("/item/:id", (req, res) => {
          states = stateOf(req);
          const { route } = req;
          Object.defineProperty(req, "route", {
            get() {
              reads++;
              return route;
            },
          });
          res.send("x");
        });
        await request(server).get("/item/1").expect(200);
        expect(stream.lines).toHaveLength(1);
        return { line: stream.lines[0]!, reads, traceId: states.trace?.traceId };
      }

      it.each([
        "combined",
        "dev",
        ":method :res[x-request-id]",
      ])("are not looked up for the text format %j, which has neither", async (format) => {
        expect(await logged({ format })).toMatchObject({ reads: 0, traceId: undefined });
      });

      it("are there for JSON, for the option level, for a format function, and for a logger", async () => {
        const entries: Partial<RequestLogEntry>[] = [];
        const note = <T>(entry: RequestLogEntry, result: T): T => {
          entries.push({ ...entry });
          return result;
        };
        const json = await logged({ format: "json" });
        expect(JSON.parse(json.line)).toMatchObject({ route: "/item/:id", traceId: json.traceId });
        const level = await logged({ format: "dev", level: (entry) => note(entry, "info") });
        const own = await logged({ format: (entry) => note(entry, "line") });
        const logger = memoryLogger();
        const server = express();
        server.use(requestContext(), requestLog({ logger, format: "combined" }));
        server.get("/item/:id", (_req, res) => void res.send("x"));
        await request(server).get("/item/1");
        expect(entries).toMatchObject([level, own].map(({ traceId }) => ({ route: "/item/:id", traceId })));
        expect(entries.every(({ traceId }) => typeof traceId === "string")).toBe(true);
        expect(logger.entries[0]!.fields).toMatchObject({
          route: "/item/:id",
          traceId: expect.stringMatching(/^[\da-f]{32}$/),
        });
      });

      it("are in the record that replaces a line whose token throws", async () => {
        morgan.token("portico-throws", () => {
          throw new Error("no");
        });
        const { line, traceId } = await logged({ format: ":method :portico-throws" });
        const atStart = await logged({ format: ":portico-throws", immediate: true });
        expect(traceId).toMatch(/^[\da-f]{32}$/);
        expect(JSON.parse(line)).toMatchObject({ route: "/item/:id", traceId });
        expect(JSON.parse(atStart.line)).toMatchObject({ immediate: true, traceId: atStart.traceId });
        expect(JSON.parse(atStart.line)).not.toHaveProperty("route");
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
      ["a zone is left out", true, "[fe80::1%eth0]:5", "fe80::1"],
      ["of a list the client's is taken", true, "203.0.113.9:51234, 10.0.0.1:80", "203.0.113.9"],
      ["IPv6 whose end looks like a port is whole", true, "2001:db8::8080", "2001:db8::8080"],
      ["what does not parse is no address", true, "1.2.3.4:x", "127.0.0.1"],
      ["an identifier of RFC 7239 is no address", true, "unknown", "127.0.0.1"],
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
});

describe("copies of morgan's cases", () => {
  const stderr = jest.spyOn(process.stderr, "write").mockReturnValue(true);
  beforeEach(() => stderr.mockClear());

  async function lineOf(format: string | ((...args: never[]) => unknown), path = "/x?token=secret") {
    const stream = memoryStream();
    const app = express();
    app.use(requestLog({ format: format as string, stream }));
    app.get("/x", (_req, res) => void res.status(201).send("x"));
    await request(app).get(path);
    return stream.lines[0];
  }

  /** Another installed copy of morgan, as an app has it that asks for another version than this package does. */
  let copy: typeof morgan;
  const folder = mkdtempSync(join(tmpdir(), "morgan-"));
  beforeAll(() => {
    const main = require.resolve("morgan");
    cpSync(dirname(main), join(folder, "node_modules/morgan"), { recursive: true });
    for (const name of [
      "basic-auth",
      "debug",
      "depd",
      "on-finished",
      "on-headers",
      "ms",
      "ee-first",
      "safe-buffer",
    ]) {
      try {
        const from = dirname(createRequire(main).resolve(`${name}/package.json`));
        cpSync(from, join(folder, "node_modules", name), { recursive: true });
      } catch {
        // Not a dependency of this version.
      }
    }
    copy = require(join(folder, "node_modules/morgan/index.js"));
    expect(copy).not.toBe(morgan);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  describe.each([
    ["the same morgan as this package's", () => morgan, "of-ours"],
    ["another copy of morgan", () => copy, "of-another"],
  ])("with %s", (_which, own, tenant) => {
    it("its tokens are in a format", async () => {
      own().token(tenant, (req) => `t-${req.headers.host?.length}`);
      expect(await lineOf(`:${tenant} :method :status`)).toMatch(/^t-\d+ GET 201$/);
      own().token(tenant, () => "anew");
      expect(await lineOf(`:${tenant}`)).toBe("anew");
    });

    it("what a token returns cannot end the line", async () => {
      own().token("evil", () => 'a\r\nb "q"');
      expect(await lineOf(":evil :method")).toMatch(/^a\\r\\nb \\+"q\\+" GET$/);
    });

    it("its named formats, strings and functions", async () => {
      own().token("who", () => "ann");
      own().format("mine", ":who :method :url");
      expect(await lineOf("mine")).toBe("ann GET /x?token=REDACTED");
      own().format("fn", (tokens, req, res) =>
        [
          tokens.who!(req, res),
          tokens.method!(req, res),
          tokens.url!(req, res),
          tokens.status!(req, res),
        ].join(" "),
      );
      expect(await lineOf("fn")).toBe("ann GET /x?token=REDACTED 201");
    });

    it("what morgan.compile() has made", async () => {
      expect(await lineOf(own().compile(":method :url :status :req[authorization]") as never)).toBe(
        "GET /x?token=REDACTED 201 -",
      );
    });
  });

  it("for a function that expects morgan's tokens, the warning says how to register it, and the record is written", async () => {
    const line = await lineOf(
      ((tokens: Record<string, (req: unknown, res: unknown) => string>, req: unknown, res: unknown) =>
        `${tokens.method!(req, res)} ${tokens["response-time"]!(req, res)}`) as never,
    );
    expect(JSON.parse(line!)).toMatchObject({ method: "GET", status: 201 });
    expect(stderr.mock.calls.join("")).toContain("morgan.format(name, fn)");
  });

  it("a token that is not registered is refused when the log is made", () => {
    expect(() => requestLog({ format: ":nobody-has-it" })).toThrow(/unknown token ":nobody-has-it"/);
  });
});

describe("refused options", () => {
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
});
