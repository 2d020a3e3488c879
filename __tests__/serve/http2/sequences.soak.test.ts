import { readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { ServerHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import express, { type Express } from "express";
import fc from "fast-check";
import multer from "multer";
import {
  cache,
  compress,
  cors,
  notFound,
  recover,
  requestContext,
  requestLog,
  securityHeaders,
  timeout,
} from "../../../src/index.js";
import {
  closeFrameClients,
  encodeFields,
  type Fields,
  FrameClient,
  request,
} from "../../support/http2-frames.js";
import { memoryLogger } from "../../support/logger.js";
import { until } from "../../support/server.js";
import { begin, closeAll } from "../support.js";

const SEQUENCES = 5_000; // a connection each
jest.setTimeout(600_000);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "http2-sequences-"));
  await writeFile(join(folder, "file.txt"), "0123456789abcdef".repeat(16 * 1024));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  await closeFrameClients();
  await closeAll();
});

function wholeStack(): Express {
  const app = express();
  app.use(requestContext({ check: false }), requestLog({ format: () => undefined }));
  app.use(securityHeaders(), cors({ origin: "https://a.example" }));
  app.use("/cached", cache());
  app.use(compress(), timeout(2_000));
  app.use("/json", express.json(), express.text(), express.urlencoded({ extended: false }));
  app.use("/upload", multer({ dest: join(folder, "uploads") }).any());
  app.get("/file", (_req, res) => res.sendFile(join(folder, "file.txt")));
  app.use("/static", express.static(folder));
  app.get("/events", (_req, res) => {
    res.type("text/event-stream").write("data: 0\n\n");
    const timer = setInterval(() => res.write("data: 1\n\n"), 5);
    res.on("close", () => clearInterval(timer));
  });
  app.get("/cached", (_req, res) => void res.set("Cache-Control", "max-age=60").send("x".repeat(5_000)));
  app.get("/fails", () => {
    throw new Error("planned");
  });
  app.get("/fails-late", (_req, res, next) => {
    res.write("part");
    setImmediate(() => next(new Error("planned")));
  });
  app.get("/destroys", (_req, res) => void res.destroy());
  app.all("/slow", (_req, res) => void setTimeout(() => res.json({ slow: true }), 3));
  app.post("/echo", (req, res) => void req.pipe(res));
  app.use(["/json", "/upload"], (_req, res) => void res.json({ done: true }));
  app.use(notFound(), recover({ logger: memoryLogger() }));
  return app;
}

const json: Fields = [["content-type", "application/json"]];
const form: Fields = [["content-type", "multipart/form-data; boundary=b"]];
const filePart = '--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nhalf';

const heads: Fields[] = [
  request("GET", "/file"),
  request("HEAD", "/file"),
  request("GET", "/file", [["range", "bytes=5-50000"]]),
  request("GET", "/static/file.txt", [["accept-encoding", "gzip"]]),
  request("GET", "/events"),
  request("HEAD", "/events"),
  request("GET", "/cached", [["accept-encoding", "br"]]),
  request("GET", "/fails"),
  request("GET", "/fails-late"),
  request("GET", "/destroys"),
  request("GET", "/slow"),
  request("GET", "/none"),
  request("POST", "/json", json),
  request("POST", "/json", [...json, ["expect", "100-continue"]]),
  request("POST", "/json", [...json, ["content-encoding", "gzip"]]),
  request("POST", "/json", [
    ["content-type", "text/plain"],
    ["content-length", "20"],
  ]),
  request("POST", "/upload", form),
  request("POST", "/echo"),
  request("POST", "/slow"),
  request("OPTIONS", "/json", [
    ["origin", "https://a.example"],
    ["access-control-request-method", "PUT"],
  ]),
  [
    [":method", "CONNECT"],
    [":authority", "localhost:1"],
  ],
];
const bodies = ['{"a":', '{"a":1}', filePart, "x".repeat(20_000), ""];
const CODES = [0, 1, 2, 5, 7, 8, 11];

type Step = (client: FrameClient) => void;
const stream = fc.integer({ min: 0, max: 4 }).map((i) => 2 * i + 1);
const head = fc.constantFrom(...heads);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(stream, head, fc.boolean()).map(
      ([id, fields, endStream]): Step =>
        (client) =>
          client.headers(id, fields, { endStream }),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(stream, fc.constantFrom(...bodies), fc.boolean()).map(
      ([id, body, end]): Step =>
        (client) =>
          client.data(id, body, end),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(stream, fc.constantFrom(...CODES)).map(
      ([id, code]): Step =>
        (client) =>
          client.reset(id, code),
    ),
  },
  fc.tuple(fc.oneof(stream, fc.constant(0)), fc.constantFrom(1, 1_000, 0x7fffffff)).map(
    ([id, by]): Step =>
      (client) =>
        client.windowUpdate(id, by),
  ),
  fc.constantFrom(0, 1, 100, 65_535).map(
    (size): Step =>
      (client) =>
        client.settings([[4, size]]),
  ),
  fc.constant<Step>((client) => client.ping()),
  fc.tuple(stream, stream).map(
    ([id, on]): Step =>
      (client) =>
        client.priority(id, on),
  ),
  fc.tuple(stream, head, fc.boolean()).map(
    ([id, fields, isWhole]): Step =>
      (client) => {
        const block = encodeFields(fields);
        client.frame(1, 0, id, block.subarray(0, 7));
        client.continuation(id, block.subarray(7), isWhole);
      },
  ),
  {
    weight: 1,
    arbitrary: fc.constantFrom(0, 2).map(
      (code): Step =>
        (client) =>
          client.goaway(code),
    ),
  },
);
/** Steps that arrive in one piece. */
const sequence = fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 });

function openFiles(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  }).length;
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function heapUsed(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  return process.memoryUsage().heapUsed;
}

it(`${SEQUENCES} made sequences of frames leave the server as it was, with nothing open`, async () => {
  const { port, served, log } = await begin("http2", {}, wholeStack());
  const { server } = served;
  const streams = new Set<ServerHttp2Stream>();
  const sessions = new Set<object>();
  server.on("stream", (opened: ServerHttp2Stream) => {
    streams.add(opened);
    opened.on("close", () => streams.delete(opened));
  });
  server.on("session", (session: NodeJS.EventEmitter) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const listeners = () => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  const rest = () => until(() => streams.size === 0 && sessions.size === 0 && openFiles() === 0);
  const before = { timers: timers(), listeners: listeners() };
  let count = 0;
  let early = 0;

  await fc.assert(
    fc.asyncProperty(sequence, async (bursts) => {
      const client = await FrameClient.connect(port);
      for (const burst of bursts) {
        client.batch(() => {
          for (const one of burst) one(client);
        });
        await new Promise((resolve) => setImmediate(resolve));
      }
      await client.close();
      if (++count % 20 === 0) {
        const other = await FrameClient.connect(port);
        other.headers(1, request("GET", "/cached"), { endStream: true });
        await until(() => other.hasEnded(1));
        expect(other.status(1)).toBe(200);
        await other.close();
      }
      if (count === SEQUENCES / 5) {
        await rest();
        log.length = 0;
        early = await heapUsed();
      }
    }),
    { numRuns: SEQUENCES, endOnFailure: true },
  );

  await rest();
  await until(() => timers() <= before.timers);
  expect(listeners()).toBe(before.listeners);
  expect(log.filter(({ level }) => level === "error")).toEqual([]);
  log.length = 0;
  expect((await heapUsed()) - early).toBeLessThan(10 * 1024 * 1024);
});
