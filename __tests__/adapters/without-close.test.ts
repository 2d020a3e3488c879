import { context, type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import express, { type RequestHandler } from "express";
import { recover, requestContext } from "../../src/index.js";
import { startTracing } from "../context/tracing.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { type Adapter, injectors, mocks, servers } from "./support.js";

// End hooks run even if there is no 'close' event.

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
