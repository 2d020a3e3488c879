import http from "node:http";
import type { Socket } from "node:net";
import { Writable } from "node:stream";
import type { Express } from "express";
import { expressServerOptions } from "../src/serve/express-server-options.js";

/** What one request to the app under measure looks like. */
export interface Shape {
  readonly method?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const ROUNDS = 48;
const REQUESTS = 3_000;

/**
 * CPU per request of several apps, in one process: rounds are interleaved, and the fastest round of each app counts.
 * Requests and responses are made as `serve` makes them, for all apps: on Node 20 and 22 Express's change of prototypes would
 * hide the rest. The socket is a stub that discards everything, because middleware is measured and not streams.
 */
export async function measure(
  apps: ReadonlyMap<string, Express>,
  shape: Shape = {},
  requests = REQUESTS,
): Promise<Map<string, number>> {
  const drivers = [...apps].map(([name, app]) => ({
    name,
    run: driver(app, shape),
    best: Number.POSITIVE_INFINITY,
  }));
  for (const { run } of drivers) await run(2 * requests);
  for (let round = 0; round < ROUNDS; round++) {
    drivers.reverse(); // each app sometimes pays for collecting the garbage of the one before it
    for (const one of drivers) {
      const before = process.cpuUsage();
      await one.run(requests);
      const { user, system } = process.cpuUsage(before);
      one.best = Math.min(one.best, (user + system) / requests);
    }
  }
  return new Map(drivers.map(({ name, best }) => [name, best]));
}

/** Serves requests one after the other, in batches, so that work at the end of a turn (batched log lines) is measured too. */
export function driver(app: Express, shape: Shape): (count: number) => Promise<void> {
  const { IncomingMessage: Req = http.IncomingMessage, ServerResponse: Res = http.ServerResponse } =
    expressServerOptions(app);
  const socket = lightSocket();
  const headers = { host: "localhost", "user-agent": "bench/1", ...shape.headers };
  const rawHeaders = Object.entries(headers).flat();
  return async (count) => {
    for (let served = 0; served < count; served += 50) {
      for (let i = Math.min(50, count - served); i > 0; i--) {
        const req = new Req(socket);
        req.method = shape.method ?? "GET";
        req.url = shape.url ?? "/";
        req.httpVersionMajor = 1;
        req.httpVersionMinor = 1;
        req.httpVersion = "1.1";
        req.rawHeaders = rawHeaders;
        req.headers = headers;
        req.complete = true;
        const res = new Res(req);
        res.assignSocket(socket);
        app(req as never, res as never);
        await settled(res);
        res.detachSocket(socket);
        res.emit("close");
      }
      await new Promise(setImmediate);
    }
  };
}

function settled(res: http.ServerResponse): Promise<void> | undefined {
  // `writableEnded` is true while a body is still being encoded; `finished` is not.
  return res.finished ? undefined : new Promise((resolve) => res.once("finish", resolve));
}

function lightSocket(): Socket {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done(), highWaterMark: 1 << 30 });
  sink.setMaxListeners(0);
  return Object.assign(sink, {
    remoteAddress: "127.0.0.1",
    remotePort: 50_000,
    encrypted: false,
    server: {}, // a socket without a server is treated as an adapter's
    setTimeout: () => {},
    destroySoon: () => {},
    readable: true,
    write: (_chunk: unknown, encoding?: unknown, done?: unknown) => {
      const callback = typeof encoding === "function" ? encoding : done;
      if (typeof callback === "function") callback();
      return true;
    },
  }) as unknown as Socket;
}
