import { createServer } from "node:http";
import zlib from "node:zlib";
import compression from "compression";
import express, { type RequestHandler } from "express";
import session from "express-session";
import { cache } from "../../src/cache/index.js";
import { compress } from "../../src/compress/index.js";
import { requestContext } from "../../src/context/index.js";
import { cors } from "../../src/cors/index.js";
import { notFound } from "../../src/not-found.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { serve as serveApp } from "../../src/serve/index.js";
import { timeout } from "../../src/timeout/index.js";
import { certificate } from "../support/certificate.js";
import { ask as askHttp2, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen, until } from "../support/server.js";
import { ask, text } from "./support.js";

afterEach(closeServers);
afterEach(closeHttp2);
afterEach(() => void jest.restoreAllMocks());

const LONG = text(5_000);
const LARGE = text(200_000);
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The documented stack around compress, and the handlers after it. */
function app(...handlers: RequestHandler[]) {
  const records: { responseBytes: number; status: number }[] = [];
  const logger = memoryLogger();
  const made = express();
  made.use(
    requestContext(),
    requestLog({ format: "json", stream: { write: (line) => void records.push(JSON.parse(line)) } }),
  );
  made.use(securityHeaders(), cors({ origin: ["https://app.example"] }));
  for (const one of handlers) made.use(one);
  made.get("/long", (_req, res) => void res.type("text").send(LONG));
  made.get("/large", (_req, res) => void res.type("text").send(LARGE));
  made.get("/parts", async (_req, res) => {
    res.type("text");
    for (let i = 0; i < 10; i++) {
      res.write(LARGE.slice(i * 20_000, (i + 1) * 20_000));
      await sleep(0);
    }
    res.end();
  });
  made.get("/throws", () => {
    throw new Error(LONG);
  });
  made.use(notFound(), recover({ logger }));
  return { app: made, records, logger };
}

const headers = { Origin: "https://app.example" };

it.each([
  ["/long", 200, LONG],
  ["/large", 200, LARGE],
  ["/parts", 200, LARGE],
])("after context, log, headers and cors: %s", async (path, status, body) => {
  const { app: made, records } = app(compress());
  const server = await listen(made);
  const answer = await ask(server, { path, accept: "gzip", headers });
  expect([answer.status, answer.encoding, answer.body === body]).toEqual([status, "gzip", true]);
  expect(answer.headers.vary).toBe("Origin, Accept-Encoding");
  expect(answer.headers["access-control-allow-origin"]).toBe("https://app.example");
  expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  await until(() => records.length === 1);
  expect(records[0]!.responseBytes).toBe(answer.raw.length); // as sent
});

it.each([
  ["outside of it", true],
  ["inside of it", false],
])("a 500 and a 404 are encoded, and have all their headers (recover %s)", async (_name, isOutside) => {
  const { app: made, logger } = app(isOutside ? compress() : recover.wrap(compress()));
  const server = await listen(made);
  const answer = await ask(server, { path: "/throws", accept: "gzip", headers });
  expect([answer.status, answer.encoding]).toEqual([500, "gzip"]);
  expect(JSON.parse(answer.body)).toMatchObject({ status: 500 });
  expect(answer.headers["access-control-allow-origin"]).toBe("https://app.example");
  expect(answer.headers.connection).toBe("close");
  expect(logger.entries).toHaveLength(1);
  const missing = await ask(server, { path: "/nothing", accept: "gzip", headers });
  expect([missing.status, missing.encoding, JSON.parse(missing.body).status]).toEqual([404, undefined, 404]); // it is short
});

describe("timeout", () => {
  const late: RequestHandler[] = [
    async function endsLate(_req, res) {
      await sleep(30);
      res.type("text").send(LARGE);
    },
    async function writesLate(_req, res) {
      res.type("text").set("ETag", '"late"');
      await sleep(30);
      res.write(LARGE);
      res.end();
    },
  ];
  const orders: [string, (handler: RequestHandler) => RequestHandler[]][] = [
    ["outside of compress", (handler) => [timeout(10), compress({ threshold: 10 }), handler]],
    ["inside of compress", (handler) => [compress({ threshold: 10 }), timeout(10), handler]],
    ["between two", (handler) => [compress({ threshold: 10 }), timeout(10), compress(), handler]],
  ];
  const cases = orders.flatMap(([name, order]) =>
    late.map((handler) => [name, handler.name, order(handler)] as const),
  );

  it.each(cases)("%s answers for a handler that %s, cleanly", async (name, _handler, handlers) => {
    const { app: made } = app(...handlers);
    const server = await listen(made);
    const answer = await ask(server, { accept: "gzip", headers });
    expect([answer.status, answer.isWhole]).toEqual([503, true]);
    expect(answer.encoding).toBe(
      name.startsWith("outside") ? undefined : name.startsWith("between") ? undefined : "gzip",
    );
    expect(JSON.parse(answer.body)).toMatchObject({ status: 503 });
    expect([answer.headers.etag, answer.headers["access-control-allow-origin"]]).toEqual([
      undefined,
      "https://app.example",
    ]);
    await sleep(40); // late calls do no harm
    expect((await ask(server, { path: "/long", accept: "gzip" })).status).toBe(503);
  });

  it("answers for a response of which nothing has been sent, though its handler has begun", async () => {
    const told: unknown[] = [];
    // With `flush: "auto"` the head goes out at the handler's first pause, and the answer has begun.
    const { app: made } = app(timeout(15), compress({ flush: false }), async (_req, res) => {
      res.type("text").write("little"); // less than the threshold
      await sleep(40);
      res.end(" more", () => told.push("end"));
      told.push(res.writableEnded);
    });
    const answer = await ask(await listen(made), { accept: "gzip" });
    expect([answer.status, answer.isWhole, answer.encoding]).toEqual([503, true, undefined]);
    expect(JSON.parse(answer.body)).toMatchObject({ status: 503 });
    await until(() => told.length === 2); // it is over for the handler too
  });

  it("does not stop a response that has been sent in part", async () => {
    const { app: made } = app(timeout(15), compress(), async (_req, res) => {
      res.type("text").write(LARGE);
      await sleep(40);
      res.end(LARGE);
    });
    const answer = await ask(await listen(made), { accept: "gzip" });
    expect([answer.status, answer.encoding, answer.body === LARGE + LARGE]).toEqual([200, "gzip", true]);
  });
});

describe("cache", () => {
  const scene = async (...handlers: RequestHandler[]) => {
    let made = 0;
    const { app: whole } = app(...handlers, (req, res, next) => {
      if (req.path !== "/page") return next();
      made++;
      res.set({ "Cache-Control": "max-age=60", ETag: '"v1"' }).type("text").send(LONG);
    });
    const server = await listen(whole);
    const get = (accept: string, more = {}) =>
      ask(server, { path: "/page", accept, headers: { ...headers, ...more } });
    return { get, count: () => made };
  };

  it("outside: a hit is sent as it was encoded, and a client without encodings gets it plain", async () => {
    const gzip = jest.spyOn(zlib, "gzipSync");
    const { get, count } = await scene(cache(), compress());
    const first = await get("gzip");
    const calls = gzip.mock.calls.length;
    for (const [accept, coding, times] of [
      ["gzip", "gzip", 1],
      ["identity", undefined, 2],
      ["br", "br", 3],
      ["gzip", "gzip", 3],
      ["identity", undefined, 3],
    ] as const) {
      const answer = await get(accept);
      expect([answer.encoding, answer.body === LONG, count()]).toEqual([coding, true, times]);
    }
    expect((await get("gzip")).raw.equals(first.raw)).toBe(true);
    expect([calls, gzip.mock.calls.length]).toEqual([calls, calls]);
    const again = await get("gzip", { "If-None-Match": first.headers.etag! });
    expect([again.status, again.raw.length]).toEqual([304, 0]);
  });

  it("inside: one entry serves all clients, and is encoded for each", async () => {
    const { get, count } = await scene(compress(), cache());
    for (const accept of ["gzip", "identity", "br", "gzip", ""]) {
      const answer = await get(accept);
      expect([answer.encoding ?? "", answer.body === LONG]).toEqual([accept.replace("identity", ""), true]);
      expect(answer.headers.vary).toContain("Accept-Encoding");
    }
    expect(count()).toBe(1);
  });
});

describe("third parties", () => {
  const sessions = () => session({ secret: "s", resave: false, saveUninitialized: true });
  const orders: [string, () => RequestHandler[]][] = [
    ["express-session inside", () => [compress(), sessions()]],
    ["express-session outside", () => [sessions(), compress()]],
    ["compression inside", () => [compress(), compression()]],
    ["compression outside", () => [compression(), compress()]],
    ["both on both sides", () => [compression(), sessions(), compress(), sessions(), compression()]],
  ];
  it.each(orders)("%s", async (name, handlers) => {
    const { app: made } = app(...handlers());
    const server = await listen(made);
    for (const [path, body] of [
      ["/long", LONG],
      ["/large", LARGE],
      ["/parts", LARGE],
    ] as const) {
      const answer = await ask(server, { path, accept: "gzip" });
      expect([path, answer.status, answer.encoding, answer.body === body]).toEqual([path, 200, "gzip", true]);
      expect(answer.headers["set-cookie"] !== undefined).toBe(
        name.includes("session") || name.includes("both"),
      );
    }
  });
});

describe("over HTTP/2", () => {
  const start = async (...handlers: RequestHandler[]) => {
    const { app: made, ...rest } = app(...handlers);
    const served = await serveApp(made, {
      port: 0,
      host: "127.0.0.1",
      http2: true,
      signals: [],
      tls: await certificate(),
    });
    return { ...rest, served, client: connectHttp2(served.url.replace("127.0.0.1", "localhost")) };
  };

  it("complete, large and streamed bodies are encoded", async () => {
    const { client, served } = await start(compress());
    for (const [path, body] of [
      ["/long", LONG],
      ["/large", LARGE],
      ["/parts", LARGE],
    ] as const) {
      for (const [coding, decode] of [
        ["gzip", zlib.gunzipSync],
        ["br", zlib.brotliDecompressSync],
      ] as const) {
        const answer = await askHttp2(client, path, { headers: { "accept-encoding": coding } });
        expect([answer.status, answer.headers["content-encoding"], answer.isWhole]).toEqual([
          200,
          coding,
          true,
        ]);
        expect(decode(Buffer.from(answer.body, "latin1")).toString() === body).toBe(true);
        if (path !== "/parts") expect(answer.headers["content-length"]).toBe(String(answer.body.length));
      }
      const head = await askHttp2(client, path, { method: "HEAD", headers: { "accept-encoding": "gzip" } });
      expect([head.status, head.body, head.headers["content-length"]]).toEqual([200, "", undefined]);
      const plain = await askHttp2(client, path);
      expect([plain.headers["content-encoding"], plain.body === body]).toEqual([undefined, true]);
    }
    const failed = await askHttp2(client, "/throws", { headers: { "accept-encoding": "gzip" } });
    expect(failed.status).toBe(500);
    client.destroy();
    await served.close();
  });

  it("a stream that its client resets stops its source, and one that throws is reset", async () => {
    let closed = 0;
    const { client, served } = await start(compress(), (req, res, next) => {
      if (req.path === "/throws-late") {
        res.type("text").write(LARGE);
        throw new Error("half-way");
      }
      if (req.path !== "/endless") return next();
      res.on("close", () => closed++);
      const more = () => {
        if (res.destroyed) return;
        if (res.write(Buffer.from(text(30_000)))) setImmediate(more);
        else res.once("drain", more);
      };
      res.type("text");
      more();
    });
    const stream = client.request({ ":path": "/endless", "accept-encoding": "gzip" });
    stream.on("error", () => {});
    await new Promise((resolve) => stream.once("data", resolve));
    stream.close(8);
    await until(() => closed === 1);
    const cut = await askHttp2(client, "/throws-late", { headers: { "accept-encoding": "gzip" } });
    expect(cut.isWhole).toBe(false);
    client.destroy();
    await served.close();
  });
});

it("works without Express, and before a bare handler", async () => {
  const middle = compress();
  const server = createServer((req, res) => {
    middle(req as never, res as never, () => {
      res.setHeader("Content-Type", "text/plain");
      res.end(LONG);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const answer = await ask({ url: `http://127.0.0.1:${port}` }, { accept: "gzip" });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect([answer.encoding, answer.body]).toEqual(["gzip", LONG]);
});
