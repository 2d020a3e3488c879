import { setImmediate as turn } from "node:timers/promises";
import { context, type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import express, { type RequestHandler } from "express";
import {
  AbortRequest,
  cache,
  compress,
  contextOf,
  type RequestLogEntry,
  recover,
  requestContext,
  requestLog,
  timeout,
} from "../../src/index.js";
import { decode, hasZstd, text } from "../compress/support.js";
import { startTracing } from "../context/tracing.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { type Adapter, type Call, injectors, mocks, servers } from "./support.js";

// How a response without a server ends.
describe("end", () => {
  function appOf(handlers: readonly RequestHandler[]) {
    const entries: RequestLogEntry[] = [];
    const reasons: unknown[] = [];
    const app = express();
    app.set("env", "test");
    app.use(requestContext(), requestLog({ format: (entry) => void entries.push(entry) }));
    app.use((req, _res, next) => {
      contextOf(req).signal.addEventListener("abort", (event) => {
        reasons.push((event.target as AbortSignal).reason.name);
      });
      next();
    });
    for (const handler of handlers) app.use(handler);
    app.use(recover({ logger: memoryLogger() }));
    const send = (adapter: Adapter, call: Call = {}) => adapter.send(app, call);
    return { send, entries, reasons };
  }

  describe.each([...servers, ...mocks])("$name", (adapter) => {
    test("a deadline is answered, and aborts the signal", async () => {
      const { send, entries, reasons } = appOf([timeout(20), () => {}]);
      const { status } = await send(adapter);
      await until(() => entries.length > 0);
      await turn();
      expect({ status, reasons }).toEqual({ status: 503, reasons: ["TimeoutError"] });
      expect(entries).toEqual([expect.objectContaining({ status: 503, timedOut: true })]);
      expect(entries[0]!.aborted).toBeUndefined();
    });

    test("a stored response answers the next request", async () => {
      let asked = 0;
      const handler: RequestHandler = (_req, res) => {
        asked++;
        res.set("Cache-Control", "max-age=60").json({ asked, filler: text(3_000) });
      };
      const { send } = appOf([cache(), compress(), handler]);
      const call = { headers: { "accept-encoding": "gzip", host: "shop.example" } };
      const first = await send(adapter, call);
      await turn();
      const second = await send(adapter, call);
      expect(second.headers["cache-status"]).toMatch(/hit/);
      expect(second.headers["content-encoding"]).toBe("gzip");
      expect(decode("gzip", second.body)).toEqual(decode("gzip", first.body));
      expect(asked).toBe(1);
    });

    test("a body that is encoded while the adapter waits is complete", async () => {
      const long = text(400_000);
      const { send, entries } = appOf([compress(), (_req, res) => void res.type("text").end(long)]);
      const { headers, body } = await send(adapter, { headers: { "accept-encoding": "br" } });
      await until(() => entries.length > 0);
      expect(decode(headers["content-encoding"] as string, body).toString()).toBe(long);
      expect(entries).toEqual([expect.objectContaining({ status: 200 })]);
    });

    test("zstd, which adapters treat as text, is used only if encodings names it", async () => {
      const call = { headers: { "accept-encoding": "zstd, gzip" } };
      const handler: RequestHandler = (_req, res) => {
        res.setHeader("Content-Type", "text/plain");
        res.end(text(3_000));
      };
      const asUsual = await appOf([compress(), handler]).send(adapter, call);
      expect(asUsual.headers["content-encoding"]).toBe("gzip");
      const named = await appOf([compress({ encodings: ["zstd", "gzip"] }), handler]).send(adapter, call);
      expect(named.headers["content-encoding"]).toBe(hasZstd ? "zstd" : "gzip");
    });
  });

  describe.each(servers.filter(({ name }) => name.includes("serverless")))("$name", (adapter) => {
    const half: RequestHandler = (_req, res) => {
      res.type("text").write("half of it");
      throw new Error("failed half-way");
    };
    const none: RequestHandler = () => {
      throw new AbortRequest();
    };
    test.each([
      ["a handler that fails after the head", half],
      ["a request that is dropped", none],
    ])("%s fails the invocation, and has its record", async (_name, handler) => {
      const { send, entries } = appOf([handler]);
      // serverless-http rejects; the others answer for the function.
      const { status } = await send(adapter).catch(() => ({ status: 500 }));
      expect(status).toBe(500);
      await until(() => entries.length > 0);
      expect(entries).toHaveLength(1);
      expect(entries[0]!.aborted).toBeUndefined();
    });
  });
});

// End hooks run even if there is no 'close' event.
describe("without close", () => {
  afterEach(() => void jest.restoreAllMocks());

  /** light-my-request is last, because it changes the prototypes of all Express requests of the process. */
  const all: Adapter[] = [...servers, ...mocks, ...injectors];

  describe.each(all)("$name", (adapter) => {
    test("the order of the app's middleware is checked at its first request", async () => {
      const lines: string[] = [];
      jest.spyOn(process.stderr, "write").mockImplementation((line) => lines.push(String(line)) > 0);
      const app = express();
      const path = `/${adapter.name.replace(/\W/g, "-")}`; // each problem is reported once
      app.use(recover({ logger: memoryLogger() }), requestContext());
      app.get(path, (_req, res) => void res.send("ok"));
      expect((await adapter.send(app, { path })).status).toBe(200);
      await until(() => lines.some((line) => line.includes("recover")));
    });

    test("a response that `render` writes later leaves no timer", async () => {
      const made: { _destroyed?: boolean }[] = [];
      const set = setTimeout;
      jest.spyOn(global, "setTimeout").mockImplementation(((
        run: () => void,
        ms: number,
        ...rest: unknown[]
      ) => {
        const timer: object = Reflect.apply(set, undefined, [run, ms, ...rest]);
        if (ms === 5_000) made.push(timer as never);
        return timer;
      }) as typeof setTimeout);
      const app = express();
      app.use(
        requestContext({ render: (problem, _req, res) => void setImmediate(() => res.json(problem.status)) }),
      );
      app.use(() => {
        throw Object.assign(new Error("no"), { status: 418 });
      });
      app.use(recover({ logger: memoryLogger() }));
      expect((await adapter.send(app, {})).status).toBe(418);
      await until(() => made.length > 0 && made.every(({ _destroyed }) => _destroyed));
    });

    describe("the active span", () => {
      let tracing: ReturnType<typeof startTracing>;
      beforeEach(() => {
        tracing = startTracing();
      });
      afterEach(() => tracing.stop());

      /** Like the instrumentation of a Lambda function: the span ends when the function has returned. */
      async function traced(adapter: Adapter, handler: RequestHandler) {
        const app = express();
        app.use(requestContext());
        app.get("/item/:id", handler);
        app.use(recover({ logger: memoryLogger() }));
        const span: Span = trace.getTracer("test").startSpan("handler");
        await context.with(trace.setSpan(context.active(), span), async () => {
          await adapter.send(app, { path: "/item/1" }).catch(() => {});
        });
        span.end();
        return tracing.spans().find(({ name }) => name === "handler")!;
      }

      test("the active span gets the route and the status", async () => {
        const good = await traced(adapter, (_req, res) => void res.send("ok"));
        expect(good.attributes).toEqual({ "http.route": "/item/:id", "http.response.status_code": 200 });
        expect(good.status.code).toBe(SpanStatusCode.UNSET);
      });

      test("the active span gets an error after the head", async () => {
        jest.spyOn(console, "error").mockImplementation(() => {}); // @codegenie's adapter writes there
        const app = express();
        app.use(requestContext());
        app.get("/item/:id", (_req, res) => {
          res.status(500).write("a");
          throw new TypeError("after the head");
        });
        app.use(recover({ logger: memoryLogger() }));
        const span = trace.getTracer("test").startSpan("handler") as Span & ReadableSpan;
        context.with(trace.setSpan(context.active(), span), () => {
          adapter.send(app, { path: "/item/1" }).catch(() => {}); // the response of a mock then never ends
        });
        await until(() => span.events.length > 0);
        span.end();
        expect(span.events.map(({ attributes }) => attributes?.["exception.message"])).toEqual([
          "after the head",
        ]);
        expect(span.status.code).toBe(SpanStatusCode.ERROR);
      });
    });
  });
});
