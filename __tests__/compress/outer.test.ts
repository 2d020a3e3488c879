import { brotliDecompressSync, gunzipSync } from "node:zlib";
import express, { type RequestHandler, type Response } from "express";
import session from "express-session";
import { compress } from "../../src/compress/index.js";
import { serve } from "../../src/serve/index.js";
import { certificate } from "../support/certificate.js";
import { ask, ask1, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";

// Outer middleware may hold the end of the response for a while.

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await closeHttp2();
  for (const close of open.splice(0)) await close();
});

const endsLater: RequestHandler = (_req, res, next) => {
  const { end } = res;
  res.end = ((...args: Parameters<Response["end"]>) => {
    setImmediate(() => end.apply(res, args));
    return res;
  }) as Response["end"];
  next();
};

class SlowStore extends session.MemoryStore {
  override set(...[id, data, done]: Parameters<session.MemoryStore["set"]>): void {
    setImmediate(() => super.set(id, data, done));
  }
}

const OUTERS: Record<string, RequestHandler> = {
  "an end that comes later": endsLater,
  "a session that is being saved": session({
    secret: "s",
    resave: true,
    saveUninitialized: true,
    store: new SlowStore(),
  }),
};

const BODY = "so it goes, ".repeat(4_000);
const HANDLERS: Record<string, RequestHandler> = {
  small: (_req, res) => void res.type("text").send(BODY.slice(0, 2_000)),
  large: (_req, res) => void res.type("text").send(BODY),
  streamed: (_req, res) => {
    res.type("text").write(BODY.slice(0, 2_000));
    setImmediate(() => res.end(BODY.slice(2_000)));
  },
};

const decode: Record<string, (bytes: Buffer) => Buffer> = {
  br: brotliDecompressSync,
  gzip: gunzipSync,
  identity: (bytes) => bytes,
};

describe.each(["HTTP/1.1", "HTTP/2"])("over %s", (protocol) => {
  test.each(Object.entries(OUTERS))("inside of %s a body is complete", async (_name, outer) => {
    const isHttp2 = protocol === "HTTP/2";
    const app = express();
    app.use(outer, compress());
    for (const [path, handler] of Object.entries(HANDLERS)) app.get(`/${path}`, handler);
    const { key, cert } = await certificate();
    const served = await serve(app, {
      port: 0,
      logger: memoryLogger(),
      signals: false,
      drain: { idleGraceMs: 0 },
      ...(isHttp2 && { tls: { key, cert }, http2: true }),
    });
    open.push(() => served.close());
    for (const path of Object.keys(HANDLERS)) {
      for (const coding of ["br", "gzip", "identity"]) {
        const options = { headers: { "accept-encoding": coding } };
        const answer = isHttp2
          ? await ask(connectHttp2(served.url), `/${path}`, options)
          : await ask1(served.url, `/${path}`, options);
        expect(answer).toMatchObject({ status: 200, isWhole: true });
        expect(answer.headers["content-encoding"]).toBe(coding === "identity" ? undefined : coding);
        const text = decode[coding]!(Buffer.from(answer.body, "latin1")).toString();
        expect(text).toBe(path === "small" ? BODY.slice(0, 2_000) : BODY);
      }
    }
  });
});
