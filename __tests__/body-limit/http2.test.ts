import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import express from "express";
import { bodyLimit } from "../../src/index.js";
import { serve } from "../../src/serve/index.js";
import { certificate } from "../support/certificate.js";
import { closeHttp2, connectHttp2 } from "../support/http2.js";
import { CODE, closeFrameClients, FrameClient, request as head } from "../support/http2-frames.js";
import { until } from "../support/server.js";
import { watchProcess } from "../timeout/support.js";

watchProcess();
const running: (() => unknown)[] = [];
afterEach(async () => {
  await closeFrameClients();
  await closeHttp2();
  await Promise.all(running.splice(0).map((close) => close()));
});

async function clientOf(app: express.Express): Promise<FrameClient> {
  const served = await serve(app, {
    port: 0,
    host: "127.0.0.1",
    tls: await certificate(),
    http2: true,
    signals: false,
  });
  running.push(served.close);
  return FrameClient.connect(Number(new URL(served.url).port));
}

it("a trickling body is a 408, its stream is reset without an error, and the reader gets one error", async () => {
  const errors: unknown[] = [];
  const app = express();
  app.post("/", bodyLimit({ limit: 1_000, timeMs: 60 }), (req) => {
    req.on("data", () => {}).on("error", (error) => errors.push(error));
  });
  const client = await clientOf(app);
  client.headers(1, head("POST", "/"));
  const timer = setInterval(() => client.data(1, "x"), 10);
  await until(() => client.resetCode(1) !== undefined);
  clearInterval(timer);
  expect(client.status(1)).toBe(408);
  expect(client.hasEnded(1)).toBe(true);
  expect(client.resetCode(1)).toBe(CODE.noError);
  expect(errors).toEqual([expect.objectContaining({ status: 408, type: "request.timeout" })]);
});

it("after the head was sent, the stream is reset with an error", async () => {
  const errors: unknown[] = [];
  const app = express();
  app.post("/", bodyLimit(10), (req, res) => {
    res.write("begun");
    req.on("data", () => {}).on("error", (error) => errors.push(error));
  });
  const client = await clientOf(app);
  client.headers(1, head("POST", "/"));
  await until(() => client.body(1) === "begun");
  client.data(1, "x".repeat(50));
  await until(() => client.resetCode(1) !== undefined && errors.length > 0);
  expect(client.hasEnded(1)).toBe(false);
  expect(client.resetCode(1)).toBe(CODE.internalError);
  expect(errors).toEqual([expect.objectContaining({ status: 413 })]);
});

it("nobody reads: the handler's response stands", async () => {
  const app = express();
  app.post("/", bodyLimit(10), (_req, res) => void setTimeout(() => res.send("not read"), 30));
  const client = await clientOf(app);
  client.headers(1, head("POST", "/"));
  client.data(1, "x".repeat(50));
  await until(() => client.hasEnded(1));
  expect(client.status(1)).toBe(200);
  expect(client.body(1)).toBe("not read");
});

it("a body without a length that came in whole before this middleware is counted", async () => {
  const app = express();
  const errors: unknown[] = [];
  app.use((req, _res, next) => {
    const { stream } = req as unknown as { readonly stream: ServerHttp2Stream };
    const wait = () => void (stream.state.remoteClose === 1 ? next() : setTimeout(wait, 5));
    wait();
  });
  app.post("/", bodyLimit(10), (req) => {
    req.on("data", () => {}).on("error", (error) => errors.push(error));
  });
  const client = await clientOf(app);
  client.headers(1, head("POST", "/"));
  client.data(1, "x".repeat(50), true);
  await until(() => client.hasEnded(1) && errors.length > 0);
  expect(client.status(1)).toBe(413);
  expect(errors).toEqual([expect.objectContaining({ status: 413 })]);
});

describe("Expect: 100-continue", () => {
  it.each([
    ["a handler that does not read", false],
    ["a handler that reads", true],
  ])("%s, a body without a length", async (_name, reads) => {
    const app = express();
    app.post("/", async (req, res) => {
      let bytes = 0;
      if (reads) for await (const part of req) bytes += part.length;
      res.status(reads ? 200 : 422).send(`read ${bytes}`);
    });
    const served = await serve(app, {
      port: 0,
      host: "127.0.0.1",
      tls: await certificate(),
      http2: true,
      signals: false,
    });
    running.push(served.close);
    const session = connectHttp2(served.url);
    const stream = session.request({ ":method": "POST", ":path": "/", expect: "100-continue" });
    const seen: string[] = [];
    stream.on("continue", () => {
      seen.push("continue");
      stream.end("x".repeat(5));
    });
    const [headers] = await once(stream, "response");
    const [body] = await once(stream.setEncoding("utf8"), "data");
    expect([headers[":status"], body]).toEqual(reads ? [200, "read 5"] : [422, "read 0"]);
    expect(seen).toEqual(reads ? ["continue"] : []);
    stream.close();
  });
});
