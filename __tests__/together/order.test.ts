import { brotliDecompressSync, gunzipSync } from "node:zlib";
import express, { type RequestHandler } from "express";
import session from "express-session";
import { cache } from "../../src/cache/index.js";
import { compress } from "../../src/compress/index.js";
import { requestContext } from "../../src/context/index.js";
import { cors } from "../../src/cors/index.js";
import { recover } from "../../src/recover/index.js";
import { requestLog } from "../../src/request-log/index.js";
import { securityHeaders } from "../../src/security-headers/index.js";
import { serve } from "../../src/serve/index.js";
import { timeout } from "../../src/timeout/index.js";
import { certificate } from "../support/certificate.js";
import { ask, ask1, closeHttp2, connectHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { oneIn } from "../support/soak.js";

// In every order of mounting, each body arrives complete, on a miss and on a hit, in each encoding.

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await closeHttp2();
  for (const close of open.splice(0)) await close();
});

const MEMBERS = {
  cache: () => cache(),
  compress: () => compress(),
  timeout: () => timeout(30_000),
  log: () => requestLog({ logger: memoryLogger() }),
  headers: () => securityHeaders(),
  cors: () => cors({ origin: ["https://a.example", "https://b.example"] }),
  session: () => session({ secret: "s", resave: false, saveUninitialized: false }),
} satisfies Record<string, () => RequestHandler>;
type Member = keyof typeof MEMBERS;

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length < 2) return [[...list]];
  return list.flatMap((one, i) => permutations(list.toSpliced(i, 1)).map((rest) => [one, ...rest]));
}

const SETS: Member[][] = [
  ["cache", "compress", "timeout"],
  ["cache", "compress", "session"],
  ["cache", "compress", "headers", "cors"],
  ["cache", "compress", "log"],
];

const TEXT = Array.from({ length: 6_000 }, (_, i) => `line ${(i * 7_919) % 6_007}\n`).join("");
const BODIES: Record<string, { handler: RequestHandler; text: string }> = {
  tiny: { text: "so it goes", handler: (_req, res) => void res.send("so it goes") },
  small: { text: TEXT.slice(0, 8_000), handler: (_req, res) => void res.send(TEXT.slice(0, 8_000)) },
  large: { text: TEXT, handler: (_req, res) => void res.send(TEXT) },
  streamed: {
    text: TEXT,
    handler: (_req, res) => {
      res.write(TEXT.slice(0, 30_000));
      setImmediate(() => res.end(TEXT.slice(30_000)));
    },
  },
};

const decode: Record<string, (bytes: Buffer) => Buffer> = { br: brotliDecompressSync, gzip: gunzipSync };

const orders = SETS.flatMap((set) => oneIn(6, permutations(set)));

describe.each(["HTTP/1.1", "HTTP/2"])("over %s", (protocol) => {
  test.each(orders.map((order) => [order.join(", "), order] as const))("%s", async (_name, order) => {
    const isHttp2 = protocol === "HTTP/2";
    const app = express();
    app.use(
      requestContext({ check: false }),
      order.map((name) => MEMBERS[name]()),
    );
    for (const [path, { handler }] of Object.entries(BODIES)) {
      app.get(
        `/${path}`,
        (_req, res, next) => void next(void res.type("text").set("Cache-Control", "max-age=60")),
        handler,
      );
    }
    const logger = memoryLogger();
    app.use(recover({ logger }));
    const { key, cert } = await certificate();
    const served = await serve(app, {
      port: 0,
      logger,
      signals: false,
      drain: { idleGraceMs: 0 },
      ...(isHttp2 && { tls: { key, cert }, http2: true }),
    });
    open.push(() => served.close());
    const client = isHttp2 ? connectHttp2(served.url) : undefined;
    for (const [path, { text }] of Object.entries(BODIES)) {
      for (const coding of ["gzip", "br", "identity", "gzip", "br"]) {
        const options = { headers: { "accept-encoding": coding } };
        const answer =
          client === undefined
            ? await ask1(served.url, `/${path}`, options)
            : await ask(client, `/${path}`, options);
        expect(answer).toMatchObject({ status: 200, isWhole: true });
        const coded = answer.headers["content-encoding"];
        expect(coded).toBe(coding === "identity" || path === "tiny" ? undefined : coding);
        const bytes = Buffer.from(answer.body, "latin1");
        expect((coded === undefined ? bytes : decode[coded]!(bytes)).toString()).toBe(text);
      }
    }
    expect(logger.entries).toEqual([]);
  });
});
