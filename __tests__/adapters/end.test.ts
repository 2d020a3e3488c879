import { setImmediate as turn } from "node:timers/promises";
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
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { type Adapter, type Call, mocks, servers } from "./support.js";

// How a response without a server ends.

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
