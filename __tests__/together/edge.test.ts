import express, { type RequestHandler } from "express";
import { bodyLimit } from "../../src/body-limit/index.js";
import { cache } from "../../src/cache/index.js";
import { compress } from "../../src/compress/index.js";
import { requestContext } from "../../src/context/index.js";
import { csrf } from "../../src/csrf/index.js";
import { notFound } from "../../src/not-found.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { serve } from "../../src/serve/index.js";
import { timeout } from "../../src/timeout/index.js";
import { certificate } from "../support/certificate.js";
import { type Ask, ask, ask1, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import { oneIn } from "../support/soak.js";

// In every order of mounting, a refusal is one answer and one record, and the server goes on.

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await closeHttp2();
  for (const close of open.splice(0)) await close();
});

const MEMBERS = {
  csrf: () => csrf(),
  cache: () => cache(),
  compress: () => compress(),
  timeout: () => timeout(30_000),
  bodyLimit: () => bodyLimit(1_000),
} satisfies Record<string, () => RequestHandler>;
type Member = keyof typeof MEMBERS;

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length < 2) return [[...list]];
  return list.flatMap((one, i) => permutations(list.toSpliced(i, 1)).map((rest) => [one, ...rest]));
}

const LARGE = "x".repeat(100_000);
const LONG_ANSWER = "an answer that is long enough to be encoded; ".repeat(100);

async function start(order: readonly Member[], isHttp2: boolean) {
  const logger = memoryLogger();
  const app = express();
  app.use(requestContext({ check: false }), requestLog({ logger }));
  app.use(order.map((name) => MEMBERS[name]()));
  app.post("/parsed", express.text({ limit: "1mb" }), (_req, res) => void res.send(LONG_ANSWER));
  app.post("/read", async (req, res) => {
    for await (const _part of req);
    res.send(LONG_ANSWER);
  });
  // It ignores that the body has failed: what it sends late is discarded.
  app.post("/deaf", (req, res) => {
    req.on("error", () => setImmediate(() => res.send("late"))).resume();
    req.on("end", () => res.send(LONG_ANSWER));
  });
  app.use(notFound(), recover({ logger }));
  const served = await serve(app, {
    port: 0,
    host: "localhost",
    logger: memoryLogger(),
    signals: false,
    drain: { idleGraceMs: 0 },
    ...(isHttp2 && { tls: await certificate(), http2: true }),
  });
  open.push(() => served.close());
  const send = (path: string, options: Ask) =>
    isHttp2 ? ask(connectHttp2(served.url), path, options) : ask1(served.url, path, options);
  return { send, logger };
}

const orders = oneIn(20, permutations(Object.keys(MEMBERS) as Member[]));

describe.each(["HTTP/1.1", "HTTP/2"])("over %s", (protocol) => {
  it.each(orders.map((order) => [order.join(", "), order] as const))("%s", async (_name, order) => {
    const { send, logger } = await start(order, protocol === "HTTP/2");
    const headers = { "content-type": "text/plain", "accept-encoding": "gzip" };
    const expected: object[] = [];
    for (const path of ["/parsed", "/read", "/deaf"]) {
      for (const length of [{}, { "content-length": String(LARGE.length) }]) {
        const body = [LARGE.slice(0, 500), LARGE.slice(500)];
        const answer = await send(path, { method: "POST", headers: { ...headers, ...length }, body });
        expect(answer).toMatchObject({ status: 413, headers: { "cache-control": "no-store" } });
        expected.push({ status: 413, refused: { by: "bodyLimit", reason: "size" } });
      }
      const small = await send(path, { method: "POST", headers, body: "small" });
      expect(small).toMatchObject({ status: 200, isWhole: true, headers: { "content-encoding": "gzip" } });
      expected.push({ status: 200 });
      const forged = { ...headers, "sec-fetch-site": "cross-site" };
      const refused = await send(path, { method: "POST", headers: forged, body: "small" });
      expect(refused).toMatchObject({ status: 403, headers: { "cache-control": "no-store" } });
      expected.push({ status: 403, refused: { by: "csrf", reason: "sec-fetch-site" } });
    }
    const wrong = await send("/parsed", { method: "DELETE" });
    expect(wrong).toMatchObject({ status: 405, headers: { allow: "POST, OPTIONS" } });
    expected.push({ status: 405 });
    await until(() => logger.entries.length >= expected.length);
    expect(logger.entries.map(({ fields }) => fields)).toMatchObject(expected);
  });
});
