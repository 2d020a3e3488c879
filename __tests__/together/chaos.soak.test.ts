import { once } from "node:events";
import { createReadStream } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import express, { type Request, type Response } from "express";
import {
  AbortRequest,
  contextOf,
  notFound,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
} from "../../src/index.js";
import { serve } from "../../src/serve/index.js";
import { timeout } from "../../src/timeout/index.js";
import { memoryLogger } from "../support/logger.js";
import { until } from "../support/server.js";

const REQUESTS = 20_000;
const CONNECTIONS = 50;
const TIMEOUT_MS = 150; // long enough for a busy machine to open a file in

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What a client may see of a request. */
type Seen = number | "truncated" | "gave up";

interface Kind {
  readonly name: string;
  /** What the client must see. */
  readonly sees: Seen;
  readonly orSees?: number;
  readonly method?: string;
  readonly body?: Buffer | "stalled";
  /** The client leaves: once the handler runs, or once the response has begun. */
  readonly leaves?: "early" | "half-way";
  run(req: Request, res: Response, next: (error?: unknown) => void): unknown;
}

const boom = () => new Error("boom");
const later = (ms = 1) => new Promise((resolve) => setTimeout(resolve, ms));
/** After the deadline. A longer timer will not do: in a stalled process Node may run it before a shorter one. */
const tooLate = async (req: Request) => {
  const { signal } = contextOf(req);
  if (!signal.aborted) await once(signal, "abort");
  await later(5);
};
const hostile = new Proxy(
  {},
  {
    get() {
      throw new Error("do not touch");
    },
  },
);

const kinds: Kind[] = [
  // Thrown values.
  {
    name: "an Error",
    sees: 500,
    run: () => {
      throw boom();
    },
  },
  {
    name: "a string",
    sees: 500,
    run: () => {
      throw "boom";
    },
  },
  {
    name: "a symbol",
    sees: 500,
    run: () => {
      throw Symbol("boom");
    },
  },
  {
    name: "a frozen error",
    sees: 500,
    run: () => {
      throw Object.freeze(boom());
    },
  },
  {
    name: "a hostile proxy",
    sees: 500,
    run: () => {
      throw hostile;
    },
  },
  {
    name: "an error of the client's",
    sees: 418,
    run: () => {
      throw Object.assign(boom(), { status: 418 });
    },
  },
  {
    name: "an error with a status that is none",
    sees: 500,
    run: () => {
      throw Object.assign(boom(), { status: 999 });
    },
  },
  {
    name: "a rejection",
    sees: 500,
    run: async () => {
      await later();
      throw boom();
    },
  },
  { name: "a rejection with nothing", sees: 500, run: () => Promise.reject(undefined) },
  { name: "next(error)", sees: 500, run: (_req, _res, next) => next(boom()) },
  {
    name: "next(error), then a rejection",
    sees: 500,
    run: async (_req, _res, next) => {
      next(boom());
      throw boom();
    },
  },
  {
    name: "AbortRequest",
    sees: "truncated",
    run: () => {
      throw new AbortRequest();
    },
  },
  // When.
  {
    name: "after headers of a body",
    sees: 500,
    run: (_req, res) => {
      res.set({ "Content-Length": "5", "Content-Encoding": "gzip", ETag: '"x"' });
      throw boom();
    },
  },
  {
    name: "after a piece of the body",
    sees: "truncated",
    run: async (_req, res) => {
      res.write("half");
      await later();
      throw boom();
    },
  },
  {
    name: "after a piece of a body with a length",
    sees: "truncated",
    run: async (_req, res) => {
      res.set("Content-Length", "100");
      res.write("half");
      await later();
      throw boom();
    },
  },
  {
    name: "after the head alone",
    sees: "truncated",
    run: (_req, res) => {
      res.writeHead(200);
      res.flushHeaders();
      throw boom();
    },
  },
  {
    name: "after the end",
    sees: 200,
    run: (_req, res) => {
      res.send("whole");
      throw boom();
    },
  },
  {
    name: "after the end, later",
    sees: 200,
    run: async (_req, res) => {
      res.send("whole");
      await later();
      throw boom();
    },
  },
  {
    name: "two answers",
    sees: 200,
    run: (_req, res) => {
      res.send("one");
      res.send("two");
    },
  },
  {
    name: "a write after the end",
    sees: 200,
    run: (_req, res) => {
      res.on("error", () => {});
      res.end("one");
      res.write("two");
    },
  },
  {
    name: "a header that cannot be",
    sees: 500,
    run: (_req, res) => {
      res.set("X-Broken", "a\r\nb");
    },
  },
  {
    name: "HEAD",
    sees: 500,
    method: "HEAD",
    run: () => {
      throw boom();
    },
  },
  // In a process that has stalled, the deadline may be due before the file system's answer is read.
  {
    name: "a file that is not there",
    sees: 404,
    orSees: 503,
    run: (_req, res) => res.sendFile("/nowhere/at-all"),
  },
  { name: "a view that is not there", sees: 500, run: (_req, res) => res.render("nothing") },
  {
    name: "a source that fails half-way",
    sees: "truncated",
    run: async (_req, res) => {
      const source = Readable.from(
        (async function* () {
          yield "half";
          await later();
          throw boom();
        })(),
      );
      source.on("error", (error) => res.destroy(error));
      source.pipe(res);
    },
  },
  // Truncated responses.
  { name: "res.destroy()", sees: "truncated", run: (_req, res) => void res.destroy() },
  {
    name: "res.destroy(error)",
    sees: "truncated",
    run: (_req, res) => {
      res.on("error", () => {});
      res.destroy(boom());
    },
  },
  { name: "socket.destroy()", sees: "truncated", run: (req) => void req.socket.destroy() },
  {
    name: "socket.destroy() half-way",
    sees: "truncated",
    run: async (req, res) => {
      res.write("half");
      await later();
      req.socket.destroy();
    },
  },
  { name: "a reset", sees: "truncated", run: (req) => void req.socket.resetAndDestroy() },
  // Uploads.
  {
    name: "an unread upload",
    sees: 500,
    method: "POST",
    body: Buffer.alloc(300_000),
    run: () => {
      throw boom();
    },
  },
  {
    name: "a stalled upload",
    sees: 500,
    method: "POST",
    body: "stalled",
    run: () => {
      throw boom();
    },
  },
  {
    name: "a stalled upload that somebody waits for",
    sees: 503,
    method: "POST",
    body: "stalled",
    run: (req) => new Promise((resolve) => req.on("end", resolve).resume()),
  },
  // Clients that leave.
  { name: "a client that leaves at once", sees: "gave up", leaves: "early", run: () => {} },
  {
    name: "a client that leaves, and then an error",
    sees: "gave up",
    leaves: "early",
    run: async () => {
      await later(5);
      throw boom();
    },
  },
  {
    name: "a client that leaves, and then an answer",
    sees: "gave up",
    leaves: "early",
    run: async (_req, res) => {
      await later(5);
      res.send("anybody?");
    },
  },
  {
    name: "a client that leaves half-way",
    sees: "gave up",
    leaves: "half-way",
    run: async (_req, res) => {
      res.write("half");
      await later(20);
      res.end("whole");
    },
  },
  {
    name: "a client that leaves in the middle of its upload",
    sees: "gave up",
    leaves: "early",
    method: "POST",
    body: "stalled",
    run: (req) => req.resume(),
  },
  // Timeouts.
  { name: "no answer", sees: 503, run: () => {} },
  {
    name: "a late answer",
    sees: 503,
    run: async (req, res) => {
      await tooLate(req);
      res.json({ late: true });
    },
  },
  {
    name: "a late error",
    sees: 503,
    run: async (req) => {
      await tooLate(req);
      throw boom();
    },
  },
  {
    name: "late pieces",
    sees: 503,
    run: async (req, res) => {
      await tooLate(req);
      res.writeHead(200, { "X-Late": "1" });
      res.write("late");
      res.end();
    },
  },
  {
    name: "a late file",
    sees: 503,
    run: async (req, res) => {
      await tooLate(req);
      createReadStream(__filename)
        .on("error", () => {})
        .pipe(res);
    },
  },
];

it(`has many ways to fail (${kinds.length})`, () => {
  expect(kinds.length).toBeGreaterThanOrEqual(25);
  expect(new Set(kinds.map(({ name }) => name)).size).toBe(kinds.length);
});

it(`${REQUESTS} requests, one in ten of which fails: one answer and one record for each, and nothing is left`, async () => {
  const records = new Uint8Array(REQUESTS);
  /** Told by the handler that the request with this id has arrived. */
  const arrived = new Map<string, () => void>();
  const app = makeApp(records, arrived);
  const before = { listeners: listeners(), resources: resources() };
  const served = await serve(app, {
    port: 0,
    host: "127.0.0.1",
    signals: false,
    onUncaught: false,
    logger: memoryLogger(),
  });
  const { port } = served.server.address() as AddressInfo;
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });

  let sent = 0;
  const wrong: unknown[] = [];
  let heapEarly = 0;
  const client = async () => {
    while (sent < REQUESTS) {
      const id = sent++;
      if (id === REQUESTS / 4) heapEarly = heap();
      const kind = id % 10 === 0 ? kinds[pick(id, kinds.length)]! : undefined;
      const seen = await send(port, agent, id, kind, arrived);
      if (seen !== (kind?.sees ?? 200) && seen !== kind?.orSees) wrong.push([id, kind?.name, seen]);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  expect(wrong).toEqual([]);

  agent.destroy();
  await until(() => records.every((count) => count > 0)).catch(() => {});
  const off = [...records.entries()].filter(([, count]) => count !== 1);
  expect(off.map(([id, count]) => [id, count, kinds[pick(id, kinds.length)]?.name])).toEqual([]);
  expect(heap() - heapEarly).toBeLessThan(12e6);

  expect(await served.close()).toMatchObject({ forced: false, tasksLeft: [] });
  const left = () => beyond(resources(), before.resources);
  await until(() => left().length === 0).catch(() => {});
  expect(left()).toEqual([]);
  expect(listeners()).toEqual(before.listeners);
});

function makeApp(records: Uint8Array, arrived: Map<string, () => void>) {
  const app = express();
  const count = (text: string) => {
    for (const line of text.trim().split("\n")) {
      const { requestId } = JSON.parse(line) as { requestId: string };
      records[Number(requestId.slice(1))]!++;
    }
    return true;
  };
  app.use(requestContext({ trustRequestId: true }));
  app.use(requestLog({ format: "json", stream: { write: count } }));
  app.use(securityHeaders());
  app.use(timeout({ ms: TIMEOUT_MS, onLate: () => {} }));
  app.get("/", (_req, res) => void res.json({ hello: "world" }));
  app.all("/:kind", (req, res, next) => {
    const id = req.get("x-request-id")!;
    const kind = kinds[Number(req.params.kind)]!;
    if (kind.leaves === "early") arrived.get(id)?.();
    return kind.run(req, res, next) as undefined;
  });
  app.use(notFound(), recover({ logger: memoryLogger() }));
  return app;
}

function send(
  port: number,
  agent: http.Agent,
  id: number,
  kind: Kind | undefined,
  arrived: Map<string, () => void>,
): Promise<Seen> {
  return new Promise((resolve) => {
    const requestId = `r${id}`;
    const stalled = kind?.body === "stalled";
    const req = http.request({
      port,
      host: "127.0.0.1",
      // A client that has not sent all it announced cannot use its connection again.
      agent: kind === undefined || kind.body === undefined ? agent : false,
      method: kind?.method ?? "GET",
      path: kind === undefined ? "/" : `/${kinds.indexOf(kind)}`,
      headers: { "X-Request-Id": requestId, ...(stalled && { "Content-Length": "1000" }) },
    });
    let gaveUp = false;
    const giveUp = () => {
      gaveUp = true;
      req.destroy();
    };
    if (kind?.leaves === "early") arrived.set(requestId, () => setImmediate(giveUp));
    const settle = (seen: Seen) => {
      arrived.delete(requestId);
      resolve(gaveUp ? "gave up" : seen);
      if (stalled) req.destroy();
    };
    req.on("response", (res) => {
      res.on("data", () => {
        if (kind?.leaves === "half-way") giveUp();
      });
      res.on("end", () => settle(res.statusCode!));
      res.on("error", () => settle("truncated"));
    });
    req.on("error", () => settle("truncated"));
    if (stalled) req.write("abc");
    else req.end(kind?.body);
  });
}

/** Any kind, but in each run the same for the same request. */
function pick(id: number, of: number): number {
  return (Math.imul(id / 10 + 1, 2_654_435_761) >>> 8) % of;
}

function heap(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

function resources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => !/Pipe|TTY|Immediate|TickObject|FSReq|CloseReq/.test(name))
    .sort();
}

/** What is in the first list more often than in the second. */
function beyond(now: string[], before: string[]): string[] {
  const rest = [...before];
  return now.filter((name) => {
    const at = rest.indexOf(name);
    if (at !== -1) rest.splice(at, 1);
    return at === -1;
  });
}

function listeners(): string[] {
  return process
    .eventNames()
    .map((name) => `${String(name)} ${process.listenerCount(name)}`)
    .sort();
}
