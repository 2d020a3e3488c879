import { Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import express, { type Application, type ErrorRequestHandler, type RequestHandler } from "express";
import {
  apiKey,
  around,
  authenticate,
  authorize,
  basic,
  bearer,
  cache,
  chain,
  compress,
  contextOf,
  cors,
  cspReports,
  notFound,
  type Outcome,
  type RequestLogEntry,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
  timeout,
  unless,
  when,
} from "../../src/index.js";
import { decode, text } from "../compress/support.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";
import type { Adapter, Call, Reply } from "./support.js";

// Every handler of the package, in every way to run an app without a server, compared with a server.

process.env.NODE_ENV = "production"; // so that no response has a stack

type Handlers = readonly (RequestHandler | ErrorRequestHandler)[];

const SMALL = text(400);
const LARGE = text(200_000);

/** The middleware before the routes; after the routes come notFound and recover. */
export const STACKS: Record<string, () => { before: Handlers; after?: Handlers }> = {
  "no more": () => ({ before: [] }),
  cors: () => ({ before: [cors()] }),
  "cors for one origin": () => ({ before: [cors({ origin: "https://app.example", credentials: true })] }),
  securityHeaders: () => ({ before: [securityHeaders()] }),
  "securityHeaders, page": () => ({ before: [securityHeaders({ preset: "page" })] }),
  bearer: () => ({ before: [authenticate(bearer({ verify: (token) => token === "let-me-in" }))] }),
  basic: () => ({ before: [authenticate(basic({ users: { ann: "secret" } }))] }),
  apiKey: () => ({ before: [authenticate(apiKey({ keys: ["a-long-random-key"] }))] }),
  authorize: () => ({ before: [authorize((req) => req.method !== "DELETE")] }),
  timeout: () => ({ before: [timeout({ ms: 5_000, idleMs: 5_000, totalMs: 10_000 })] }),
  compress: () => ({ before: [compress()] }),
  "compress, slow": () => ({ before: [compress({ levels: { br: 8, zstd: 12 } })] }),
  "compress with jitter": () => ({ before: [compress({ jitter: true })] }),
  cache: () => ({ before: [cache()] }),
  cspReports: () => ({ before: [cspReports({ onReport: () => {} })] }),
  chain: () => ({
    before: [chain((_req, _res, next) => next()).then((_req, _res, next) => next())],
  }),
  "when and unless": () => ({
    before: [when(() => true, cors()), unless(() => false, compress())],
  }),
  notFound: () => ({ before: [], after: [notFound()] }),
  recover: () => ({ before: [], after: [recover({ logger: memoryLogger() })] }),
  "recover in a chain": () => ({
    before: [chain(recover({ logger: memoryLogger() })).then((_req, _res, next) => next())],
  }),
  "all of them, cache outside": () => ({
    before: [securityHeaders(), cors({ origin: "https://app.example" }), cache(), compress(), timeout(5_000)],
    after: [notFound(), recover({ logger: memoryLogger() })],
  }),
  "all of them, cache inside": () => ({
    before: [securityHeaders(), cors({ origin: "https://app.example" }), compress(), cache(), timeout(5_000)],
    after: [notFound(), recover({ logger: memoryLogger() })],
  }),
};

export const CALLS: Record<string, Call> = {
  GET: { path: "/small" },
  "GET of a large body": { path: "/large" },
  HEAD: { path: "/large", method: "HEAD" },
  POST: {
    path: "/echo",
    method: "POST",
    body: JSON.stringify({ text: "sent" }),
    headers: { "content-type": "application/json" },
  },
  "a preflight": {
    path: "/small",
    method: "OPTIONS",
    headers: { origin: "https://app.example", "access-control-request-method": "PUT" },
  },
  "a refused preflight": {
    path: "/small",
    method: "OPTIONS",
    headers: { origin: "https://evil.example", "access-control-request-method": "PUT" },
  },
  "a handler that throws": { path: "/throws" },
  "a handler that rejects": { path: "/rejects" },
  "an answer that comes later": { path: "/later" },
  "a body in parts": { path: "/parts" },
  "a stream": { path: "/stream" },
  "nothing there": { path: "/missing" },
  "with credentials": {
    path: "/small",
    headers: { authorization: "Bearer let-me-in", "x-api-key": "a-long-random-key" },
  },
};

function routes(app: Application): void {
  app.get("/small", (_req, res) => void res.set("Cache-Control", "max-age=60").json({ text: SMALL }));
  app.get("/large", (_req, res) => void res.set("Cache-Control", "max-age=60").type("text").send(LARGE));
  app.post("/echo", express.json(), (req, res) => void res.json(req.body));
  app.get("/throws", () => {
    throw Object.assign(new Error("thrown"), { status: 503 });
  });
  app.get("/rejects", async () => {
    await turn();
    throw new Error("rejected");
  });
  app.get("/later", async (_req, res) => {
    await turn();
    await turn();
    res.type("text").send(LARGE);
  });
  app.get("/parts", async (_req, res) => {
    res.type("text");
    for (let i = 0; i < 5; i++) {
      res.write(`part ${i}; ${SMALL}`);
      await turn();
    }
    res.end("the end");
  });
  app.get("/stream", (_req, res) => {
    res.type("text");
    Readable.from([LARGE.slice(0, 90_000), LARGE.slice(90_000)], { objectMode: false }).pipe(res);
  });
}

export interface Seen {
  readonly reply: { readonly status: number; readonly headers: object; readonly body: string };
  readonly entries: readonly object[];
  readonly outcomes: readonly object[];
  readonly aborted: readonly boolean[];
}

/** Headers that a server or the connection adds. */
const OF_THE_CONNECTION = new Set([
  "date",
  "connection",
  "keep-alive",
  "transfer-encoding",
  "x-request-id",
  "x-powered-by",
  "strict-transport-security", // API Gateway is TLS
]);

function shown({ status, headers, body }: Reply): Seen["reply"] {
  const kept = Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name));
  const encoding = headers["content-encoding"] as string | undefined;
  // The random padding makes another length each time.
  const named = Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
  if (encoding !== undefined || named["content-length"] === "0") delete named["content-length"];
  const policy = named["content-security-policy"];
  if (policy !== undefined)
    named["content-security-policy"] = policy
      .replace("; upgrade-insecure-requests", "")
      .replace(/'nonce-[^']+'/g, "'nonce'");
  return { status, headers: named, body: decode(encoding, body).toString("utf8") };
}

export async function see(adapter: Adapter, stack: string, call: Call): Promise<Seen> {
  const entries: RequestLogEntry[] = [];
  const outcomes: Outcome[] = [];
  const signals: AbortSignal[] = [];
  const app = express();
  app.set("env", "test"); // Express prints no stack
  app.use(requestContext({ trustRequestId: true }));
  app.use(requestLog({ format: (entry) => void entries.push(entry) }));
  app.use(around(async (_req, _res, next) => void outcomes.push(await next())));
  app.use((req, _res, next) => {
    signals.push(contextOf(req).signal);
    next();
  });
  const { before, after = [] } = STACKS[stack]!();
  for (const handler of before) app.use(handler as RequestHandler);
  routes(app);
  for (const handler of after) app.use(handler as RequestHandler);
  // Express's own error handler writes HTML with a stack.
  app.use(((error, _req, res, next) =>
    res.headersSent ? next(error) : void res.status(500).send("failed")) as ErrorRequestHandler);
  const headers = { "accept-encoding": "gzip", "x-request-id": "of-the-test", ...call.headers };
  const reply = await adapter.send(app, { ...call, headers });
  await until(() => outcomes.length > 0 && entries.length > 0);
  await turn();
  return {
    reply: shown(reply),
    entries: entries.map(({ status, aborted, timedOut }) => ({ status, aborted, timedOut })),
    outcomes: outcomes.map(({ status, aborted }) => ({ status, aborted })),
    aborted: signals.map(({ aborted }) => aborted),
  };
}
