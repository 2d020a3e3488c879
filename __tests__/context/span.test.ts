import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AlwaysOffSampler, type ReadableSpan } from "@opentelemetry/sdk-trace-base";
import express from "express";
import request from "supertest";
import { contextOf, requestContext } from "../../src/context/index.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { timeout } from "../../src/timeout/index.js";
import { memoryStream } from "../request-log/memory.js";
import { expressVersions } from "../support/express.js";
import { ask, closeHttp2, connectHttp2, listenHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { buildProgram } from "../support/program.js";
import { closeServers, listen, until } from "../support/server.js";
import { type Instrument, instrumented, startTracing } from "./tracing.js";

describe("a span", () => {
  let tracing: ReturnType<typeof startTracing>;
  beforeEach(() => {
    tracing = startTracing();
  });
  afterEach(async () => {
    await tracing.stop();
    await closeServers();
    await closeHttp2();
  });

  class Broken extends Error {
    override name = "Broken";
  }

  function makeApp(make = express, ...before: express.RequestHandler[]) {
    const app = make();
    app.use(...before, requestContext());
    const items = make.Router({ mergeParams: true });
    items.get("/item/:id", (_req, res) => void res.send("one"));
    app.use("/api/:tenant", items);
    app.get("/teapot", (_req, res) => void res.status(418).send("short"));
    app.get("/unavailable", (_req, res) => void res.status(503).send("later"));
    app.get("/missing/:id", (_req, _res, next) => next(Object.assign(new Broken("no"), { status: 404 })));
    app.get("/throws/:id", () => {
      throw new Broken("it is broken");
    });
    app.get("/throws-later", (_req, res) => {
      res.write("a");
      setImmediate(() => res.req.next?.(new Broken("half-way")));
    });
    app.get("/fails-late", (_req, res) => {
      res.status(500).write("a");
      setImmediate(() => res.req.next?.(new Broken("after the head")));
    });
    app.get("/fails-whole", (_req, res) => {
      res.status(500).send("whole");
      throw new Broken("after the head");
    });
    app.get("/never/:id", () => {});
    app.get("/slow", timeout(5), () => {});
    app.get("/half", (_req, res) => void res.write("a"));
    app.use(recover({ logger: memoryLogger() }));
    return app;
  }

  async function spanOf(path: string, app = makeApp(), how: Instrument = {}): Promise<ReadableSpan> {
    const { url } = await listen(instrumented(app, how));
    await request(url)
      .get(path)
      .catch(() => {});
    await until(() => tracing.spans().length > 0);
    return tracing.spans()[0]!;
  }

  describe.each(expressVersions)("the active span on %s", (_version, make) => {
    it.each<[string, string, Record<string, unknown>, number]>([
      ["/api/a/item/1?x=1", "GET /api/:tenant/item/:id", { "http.response.status_code": 200 }, 0],
      ["/teapot", "GET /teapot", { "http.response.status_code": 418 }, 0],
      ["/nowhere", "GET", { "http.response.status_code": 404 }, 0],
      ["/missing/1", "GET /missing/:id", { "http.response.status_code": 404 }, 0],
      ["/unavailable", "GET /unavailable", { "http.response.status_code": 503, "error.type": "503" }, 2],
      ["/throws/1", "GET /throws/:id", { "http.response.status_code": 500, "error.type": "Broken" }, 2],
      ["/slow", "GET /slow", { "http.response.status_code": 503, "error.type": "timeout" }, 2],
    ])("%s: its name is %j and its attributes are %j", async (path, name, attributes, code) => {
      const span = await spanOf(path, makeApp(make));
      const route = name === "GET" ? {} : { "http.route": name.slice(4) };
      expect(span.attributes).toEqual({ ...attributes, ...route });
      expect([span.name, span.status.code]).toEqual([name, code]);
    });
  });

  it("an error is recorded once, with its message and stack; a client's error is not", async () => {
    const span = await spanOf("/throws/1");
    expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message: "it is broken" });
    expect(span.events.map(({ name, attributes }) => [name, attributes])).toEqual([
      [
        "exception",
        {
          "exception.type": "Broken",
          "exception.message": "it is broken",
          "exception.stacktrace": expect.stringMatching(/^Broken: it is broken\n +at /),
        },
      ],
    ]);
  });

  it.each(["/missing/1", "/unavailable", "/slow"])("%s records no exception", async (path) => {
    expect((await spanOf(path)).events).toEqual([]);
  });

  it("an error after the head is recorded too, and the status is the one that was sent", async () => {
    const span = await spanOf("/throws-later");
    expect(span.attributes).toMatchObject({ "http.response.status_code": 200, "error.type": "Broken" });
    expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message: "half-way" });
    expect(span.events).toHaveLength(1);
  });

  it.each([
    ["in its body", "/fails-late"],
    ["and which is whole", "/fails-whole"],
  ])("an error that comes after a head of status 500, %s, is recorded, once", async (_where, path) => {
    const span = await spanOf(path);
    expect(span.attributes).toMatchObject({ "http.response.status_code": 500, "error.type": "Broken" });
    expect(span.status.code).toBe(SpanStatusCode.ERROR);
    expect(span.events.map(({ attributes }) => attributes?.["exception.message"])).toEqual([
      "after the head",
    ]);
  });

  it.each([
    ["/never/1", { "http.route": "/never/:id" }],
    ["/half", { "http.route": "/half", "http.response.status_code": 200 }],
  ])("a client that leaves %s is not an error of the server", async (path, attributes) => {
    const { url, server } = await listen(instrumented(makeApp()));
    const req = http.get(url + path, (res) => res.on("data", () => req.destroy()).on("error", () => {}));
    req.on("error", () => {});
    if (path === "/never/1") server.once("request", () => setTimeout(() => req.destroy(), 20));
    await until(() => tracing.spans().length > 0);
    const [span] = tracing.spans() as [ReadableSpan];
    expect(span.attributes).toEqual(attributes);
    expect(span.status.code).toBe(SpanStatusCode.UNSET);
  });

  it("a span that ends with the event 'finish' is described in time", async () => {
    const span = await spanOf("/throws/1", makeApp(), { endsOn: "finish" });
    expect(span.attributes).toMatchObject({ "http.route": "/throws/:id", "http.response.status_code": 500 });
  });

  it("the request's span is described, not a span of the handler", async () => {
    const app = express();
    app.use(requestContext());
    app.get("/outer/:id", async (_req, res) => {
      await trace.getTracer("test").startActiveSpan("inner", async (inner) => {
        await new Promise(setImmediate);
        res.status(500).send("x");
        inner.end();
      });
    });
    await spanOf("/outer/1", app);
    await until(() => tracing.spans().length === 2);
    const [inner, outer] = tracing.spans() as [ReadableSpan, ReadableSpan];
    expect([inner.name, inner.attributes, inner.status.code]).toEqual(["inner", {}, 0]);
    expect(outer.name).toBe("GET /outer/:id");
    expect(inner.parentSpanContext?.spanId).toBe(outer.spanContext().spanId);
  });

  it("if a middleware has its own span, the server's span is described, and its metrics get the route", async () => {
    const rpc: Instrument["rpc"] = { route: "/wrong" };
    const app = express();
    const context = requestContext();
    app.use((req, res, next) => {
      trace.getTracer("test").startActiveSpan("middleware", (span) => {
        context(req, res, () => {
          span.end();
          next();
        });
      });
    });
    let spanId = "";
    app.get("/item/:id", (req, res) => {
      spanId = contextOf(req).trace.spanId;
      res.send("x");
    });
    await spanOf("/item/1", app, { rpc });
    await until(() => tracing.spans().length === 2);
    const [middleware, server] = tracing.spans() as [ReadableSpan, ReadableSpan];
    expect([middleware.name, middleware.attributes]).toEqual(["middleware", {}]);
    expect(server.attributes["http.route"]).toBe("/item/:id");
    expect(rpc.route).toBe("/item/:id");
    expect(spanId).toBe(server.spanContext().spanId);
  });

  describe("the name of the span", () => {
    it("is not changed if it is not a server span", async () => {
      const span = await spanOf("/api/a/item/1", makeApp(), { kind: SpanKind.INTERNAL });
      expect([span.name, span.attributes["http.route"]]).toEqual(["GET", "/api/:tenant/item/:id"]);
    });

    it("is not changed if the handler has set one", async () => {
      const app = express();
      app.use(requestContext());
      app.get("/item/:id", (_req, res) => {
        trace
          .getActiveSpan()
          ?.updateName("checkout")
          .setStatus({ code: SpanStatusCode.ERROR, message: "own" });
        res.status(500).send("x");
      });
      const span = await spanOf("/item/1", app);
      expect([span.name, span.status.message]).toEqual(["checkout", "own"]);
    });

    it("does not contain an unknown method", async () => {
      const app = express();
      app.use(requestContext());
      app.all("/item/:id", (_req, res) => void res.send("x"));
      const { port } = await listen(instrumented(app));
      await new Promise((resolve) =>
        http
          .request({ port, method: "PROPFIND", path: "/item/1", agent: false }, (res) =>
            res.resume().on("end", resolve),
          )
          .end(),
      );
      await until(() => tracing.spans().length > 0);
      expect(tracing.spans()[0]!.name).toBe("HTTP /item/:id");
    });
  });

  it("HTTP/2 requests are described as well", async () => {
    const handle = requestContext();
    const server = await listenHttp2(
      instrumented((req: http.IncomingMessage, res: http.ServerResponse) => {
        handle(req as never, res as never, () => {
          res.statusCode = req.url === "/bad" ? 502 : 200;
          res.end("x");
        });
      }),
      { tls: false },
    );
    const client = connectHttp2(server.url);
    await ask(client, "/good");
    await ask(client, "/bad");
    await until(() => tracing.spans().length === 2);
    expect(tracing.spans().map(({ attributes, status }) => [attributes, status.code])).toEqual([
      [{ "http.response.status_code": 200 }, 0],
      [{ "http.response.status_code": 502, "error.type": "502" }, 2],
    ]);
  });

  describe("contextOf(req).trace", () => {
    it("is that of the active span, not the one that the client has sent", async () => {
      let span: Span | undefined;
      let seen: unknown;
      let header = "";
      const app = express();
      app.use(requestContext(), (req, res) => {
        seen = { ...contextOf(req).trace };
        header = String(contextOf(req).trace);
        res.end();
      });
      const { url } = await listen(instrumented(app, { started: (started) => (span = started) }));
      await request(url)
        .get("/")
        .set("traceparent", `00-${"a".repeat(32)}-${"b".repeat(16)}-00`);
      const { traceId, spanId } = span!.spanContext();
      expect(seen).toEqual({ traceId, spanId, sampled: true });
      expect(header).toBe(`00-${traceId}-${spanId}-01`);
    });

    it("is the same in the log, in every schema", async () => {
      const stream = memoryStream();
      let span: Span | undefined;
      const app = express();
      app.use(requestContext());
      for (const schema of ["plain", "ecs", "otel"] as const) app.use(requestLog({ stream, schema }));
      const { url } = await listen(instrumented(app, { started: (started) => (span = started) }));
      await request(url).get("/");
      await until(() => stream.lines.length === 3);
      const { traceId, spanId } = span!.spanContext();
      expect(stream.entries).toEqual([
        expect.objectContaining({ trace_id: traceId, span_id: spanId, trace_flags: "01" }),
        expect.objectContaining({ "trace.id": traceId, "span.id": spanId }),
        expect.objectContaining({ traceId }),
      ]);
    });

    it("does not change if it was read before requestContext", async () => {
      let early = "";
      let late = "";
      const before: express.RequestHandler = (req, _res, next) => {
        early = String(contextOf(req).trace);
        next();
      };
      const app = express();
      app.use(before, requestContext(), (req, res) => {
        late = String(contextOf(req).trace);
        res.end();
      });
      await spanOf("/", app);
      expect(late).toBe(early);
    });

    it("of a span that is not sampled is not sampled; only its metrics get the route", async () => {
      await tracing.stop();
      tracing = startTracing(new AlwaysOffSampler());
      const rpc: Instrument["rpc"] = {};
      const set = jest.fn();
      const app = express();
      app.use(requestContext());
      app.get("/item/:id", (req, res) => void res.json(contextOf(req).trace.sampled));
      const started = (span: Span) => void Object.assign(span, { setAttribute: set });
      const { url } = await listen(instrumented(app, { rpc, started }));
      await request(url).get("/item/1").expect("false");
      expect(rpc.route).toBe("/item/:id");
      expect(set).not.toHaveBeenCalled();
    });
  });

  describe("without a span", () => {
    it("an SDK without an active span changes nothing", async () => {
      await request(makeApp()).get("/throws/1").expect(500);
      expect(tracing.spans()).toEqual([]);
    });

    it("a span of the API without an SDK is ignored", async () => {
      await tracing.stop();
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
      const app = express();
      app.use(requestContext(), (req, res) => void res.json(contextOf(req).trace.traceId));
      const { url } = await listen(instrumented(app));
      await request(url)
        .get("/")
        .set("traceparent", `00-${traceId}-00f067aa0ba902b7-01`)
        .expect(JSON.stringify(traceId));
    });

    it.each([
      ["has no context", {}],
      ["has a context of another kind", { context: {} }],
      [
        "throws",
        {
          context: {
            active() {
              throw new Error("no");
            },
          },
        },
      ],
      ["has an active context of another kind", { context: { active: () => ({}) } }],
      ["has no active context", { context: { active: () => undefined } }],
    ])("what is registered in OpenTelemetry's place and %s changes nothing", async (_how, registered) => {
      const holder = globalThis as unknown as Record<symbol, unknown>;
      const key = Symbol.for("opentelemetry.js.api.1");
      const handle = requestContext();
      const make = (): typeof handle => (req, res, next) => {
        const registry = holder[key];
        holder[key] = registered;
        try {
          handle(req, res, next);
        } finally {
          holder[key] = registry;
        }
      };
      const app = express();
      app.use(make(), (_req, res) => void res.send("fine"));
      const { url } = await listen(instrumented(app));
      await request(url).get("/").expect(200, "fine");
      await request(url).get("/").expect(200, "fine");
      await until(() => tracing.spans().length === 2);
      expect(tracing.spans()[0]!.attributes).toEqual({});
    });

    it("a span that throws does not change the request", async () => {
      const boom = () => {
        throw new Error("no");
      };
      const app = makeApp();
      const { url } = await listen(
        instrumented(app, {
          started: (span) => Object.assign(span, { setAttribute: boom, updateName: boom, setStatus: boom }),
        }),
      );
      await request(url).get("/api/a/item/1").expect(200, "one");
      await request(url).get("/throws/1").expect(500);
    });
  });
});

describe("without the package", () => {
  /**
   * A process of its own, in a folder from which no package can be found. It answers two requests of its own, and prints
   * what they got and how often the package was looked for.
   */
  const PROGRAM = `
  import http from "node:http";
  import Module from "node:module";
  import { requestContext } from "./src/context/index.ts";
  let looked = 0;
  const load = Module._load;
  Module._load = function (name, ...rest) {
    if (name === "@opentelemetry/api") looked++;
    return load.call(this, name, ...rest);
  };
  if (process.argv[2] === "sdk") {
    globalThis[Symbol.for("opentelemetry.js.api.1")] = { version: "1.9.0", context: {}, trace: {} };
  }
  const handle = requestContext();
  const server = http.createServer((req, res) => handle(req, res, () => res.end("fine")));
  server.listen(0, "127.0.0.1", async () => {
    const { port } = server.address();
    const answers = [];
    for (let i = 0; i < 2; i++) answers.push(await (await fetch("http://127.0.0.1:" + port)).text());
    console.log(JSON.stringify({ answers, looked }));
    server.close();
    server.closeAllConnections();
  });
`;

  const folder = mkdtempSync(join(tmpdir(), "portico-trace-"));
  const program = join(folder, "program.cjs");

  beforeAll(() => buildProgram(PROGRAM, program, ["@opentelemetry/api"]));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ["without an SDK the package is not looked for", "none", 0],
    ["with one it is not looked for either", "sdk", 0],
  ])("%s; requests are served", async (_what, argument, looked) => {
    const { stdout } = await promisify(execFile)(process.execPath, [program, argument], { cwd: folder });
    expect(JSON.parse(stdout)).toEqual({ answers: ["fine", "fine"], looked });
  });
});
