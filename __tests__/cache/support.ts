import http from "node:http";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import { type Cache, type CacheOptions, cache } from "../../src/cache/index.js";
import { closeServers, listen, type TestServer } from "../support/server.js";

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** This cache's member of Cache-Status, without its name. */
  readonly did: string;
}

export interface Asking {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
}

/** Sends one request on a new connection. */
export function ask(url: string, { method = "GET", headers = {}, body }: Asking = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const whole = Buffer.concat(chunks);
        const status = String(response.headers["cache-status"] ?? "");
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: whole,
          text: whole.toString(),
          did: status.replace(/^.*\bportico; /, ""),
        });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

export interface CachedApp {
  readonly server: TestServer;
  readonly cached: Cache;
  /** How often the handler ran. */
  readonly runs: () => number;
  get(path?: string, headers?: http.OutgoingHttpHeaders): Promise<Answer>;
  send(method: string, path?: string, headers?: http.OutgoingHttpHeaders, body?: string): Promise<Answer>;
}

export interface AppParts {
  readonly options?: CacheOptions;
  readonly before?: readonly RequestHandler[];
  readonly after?: readonly (RequestHandler | ErrorRequestHandler)[];
  readonly setup?: (app: express.Express) => void;
}

/** An app with a cache before one handler for every path. */
export async function appWith(handler: RequestHandler, parts: AppParts = {}): Promise<CachedApp> {
  const cached = cache(parts.options);
  let runs = 0;
  const app = express();
  parts.setup?.(app);
  for (const one of parts.before ?? []) app.use(one);
  app.use(cached);
  app.use((req, res, next) => {
    runs++;
    return handler(req, res, next);
  });
  for (const one of parts.after ?? []) app.use(one as RequestHandler);
  const server = await listen(app);
  const send: CachedApp["send"] = (method, path = "/", headers = {}, body) =>
    ask(`${server.url}${path}`, { method, headers, ...(body !== undefined && { body }) });
  return { server, cached, runs: () => runs, send, get: (path, headers) => send("GET", path, headers) };
}

let ahead = 0;

/** Moves the clock forward by seconds. */
export function advance(seconds: number): void {
  ahead += seconds * 1000;
}

/** From now on, only `advance` moves the clock of this test. */
export function stopClock(): void {
  const now = Date.now() - ahead;
  jest.mocked(Date.now).mockImplementation(() => now + ahead);
}

/** Call once in a test file: the clock can be moved forward, and servers are closed after each test. */
export function useClock(): void {
  const now = Date.now.bind(Date);
  beforeEach(() => {
    ahead = 0;
    jest.spyOn(Date, "now").mockImplementation(() => now() + ahead);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await closeServers();
  });
}
