import { createWriteStream, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import busboy from "busboy";
import type express5 from "express";
import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from "express";
import formidable from "formidable";
import multer from "multer";
import { http2ServerOptions } from "../../../src/serve/http2/bridge.js";
import { expressVersions } from "../../support/express.js";
import { closeHttp2, listenHttp2 } from "../../support/http2.js";
import { CODE, closeFrameClients, type Fields, FrameClient, request } from "../../support/http2-frames.js";
import { closeServers, listen, until } from "../../support/server.js";

/** How a reader of a body learned of its end. */
type Heard = string[];
type Reader = (express: typeof express5, heard: Heard, folder: string) => RequestHandler;

const json: Fields = [["content-type", "application/json"]];
const form: Fields = [["content-type", "multipart/form-data; boundary=b"]];
const part = (disposition: string) => `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`;
const field = `${part('name="a"')}half`;
const file = `${part('name="f"; filename="f.txt"')}half`;

/** Each with the type and the first bytes of a body that never ends. */
const readers: [name: string, fields: Fields, begin: string, reader: Reader][] = [
  ["express.json", json, '{"a":', ({ json }) => json()],
  ["express.text", [["content-type", "text/plain"]], "half", ({ text }) => text()],
  ["express.raw", [["content-type", "application/octet-stream"]], "half", ({ raw }) => raw()],
  [
    "express.urlencoded",
    [["content-type", "application/x-www-form-urlencoded"]],
    "a=1&b",
    ({ urlencoded }) => urlencoded({ extended: true }),
  ],
  [
    "express.json of a gzipped body",
    [...json, ["content-encoding", "gzip"]],
    "\x1f\x8b\x08",
    ({ json }) => json(),
  ],
  ["multer with a file in memory", form, file, () => multer({ storage: multer.memoryStorage() }).any()],
  ["multer with a file on disk", form, file, (_express, _heard, dest) => multer({ dest }).any()],
  ["multer with a field", form, field, () => multer().none()],
  ["formidable", form, file, formidableReader],
  [
    "busboy by pipeline",
    form,
    file,
    () => (req, _res, next) => {
      const parser = busboy({ headers: req.headers });
      parser.on("file", (_name, stream) => stream.on("error", () => {}).resume());
      pipeline(req, parser).then(() => next(), next);
    },
  ],
  [
    "for await",
    json,
    "half",
    () => (req, _res, next) => {
      count(req).then(() => next(), next);
    },
  ],
  [
    "pipeline",
    json,
    "half",
    () => (req, _res, next) => {
      pipeline(req, new PassThrough().resume()).then(() => next(), next);
    },
  ],
  [
    "pipeline into a file",
    json,
    "half",
    (_express, _heard, folder) => (req, _res, next) => {
      pipeline(req, createWriteStream(join(folder, "upload"))).then(() => next(), next);
    },
  ],
  [
    "a listener of 'error'",
    json,
    "half",
    () => (req, _res, next) => {
      req.on("error", next).on("end", next).resume();
    },
  ],
];

function formidableReader(): RequestHandler {
  return (req, _res, next) => {
    formidable().parse(req, (error) => next(error));
  };
}

async function count(req: Request): Promise<number> {
  let length = 0;
  for await (const chunk of req) length += (chunk as Buffer).length;
  return length;
}

/** An app whose `/` reads the body, and records each report of its end. */
function readingApp(express: typeof express5, reader: Reader, folder: string) {
  const app = express();
  const heard: Heard = [];
  const exchanges: { req: Request; res: Response }[] = [];
  app.use("/whole", (_req, res) => void res.send("alive"));
  app.use((req, res, next) => {
    exchanges.push({ req, res });
    req.on("aborted", () => heard.push("aborted"));
    next();
  });
  app.use(reader(express, heard, folder));
  app.use((_req, res) => {
    heard.push("read whole");
    res.send("whole");
  });
  app.use(((error, _req, res, _next) => {
    heard.push(`failed: ${error.code ?? error.type ?? error.message}`);
    res.status(error.status ?? 500).json({ error: String(error) });
  }) as express5.ErrorRequestHandler as ErrorRequestHandler);
  return { app, heard, exchanges };
}

async function listenApp(app: Express): Promise<number> {
  return (await listenHttp2(app, http2ServerOptions(app))).port;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "reset-uploads-"));
});
afterEach(async () => {
  await closeFrameClients();
  await Promise.all([closeHttp2(), closeServers()]);
  await rm(folder, { recursive: true, force: true });
});

/** The reference: the same on HTTP/1, where the connection is reset half-way through the body. */
async function heardOverHttp1(express: typeof express5, fields: Fields, begin: string, reader: Reader) {
  const { app, heard, exchanges } = readingApp(express, reader, folder);
  const { port } = await listen(app);
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const socket = net.connect(port, "127.0.0.1").on("error", () => {});
  socket.write(`POST / HTTP/1.1\r\nHost: h\r\n${head}Content-Length: 1000\r\n\r\n${begin}`, "latin1");
  await until(() => exchanges.length === 1);
  await new Promise((resolve) => setImmediate(resolve)); // the body's first bytes came with the head
  socket.resetAndDestroy();
  await until(() => exchanges[0]!.req.destroyed && exchanges[0]!.res.closed);
  await new Promise((resolve) => setTimeout(resolve, 20));
  return { heard, req: exchanges[0]!.req };
}

describe.each(
  expressVersions,
)("an upload over HTTP/2 that is reset half-way, with %s", (_version, express) => {
  it.each(
    readers,
  )("%s learns of it as over HTTP/1, and the process continues", async (name, fields, begin, reader) => {
    const expected = await heardOverHttp1(express, fields, begin, reader);
    const { app, heard, exchanges } = readingApp(express, reader, folder);
    const client = await FrameClient.connect(await listenApp(app));

    client.batch(() => {
      client.headers(1, request("POST", "/", fields));
      client.data(1, begin);
      client.reset(1);
    });
    client.headers(3, request("POST", "/", fields));
    client.data(3, begin);
    await client.caughtUp();
    await until(() => exchanges.length >= 1);
    client.reset(3, CODE.noError);
    client.headers(5, request("POST", "/", fields));
    client.data(5, begin);
    await client.caughtUp();
    client.reset(5, CODE.internalError);
    client.headers(7, request("GET", "/whole"), { endStream: true });
    await until(() => client.hasEnded(7));

    expect(client.status(7)).toBe(200);
    await until(() => exchanges.every(({ req }) => req.destroyed));
    await until(() => heard.length >= expected.heard.length * exchanges.length);
    await new Promise((resolve) => setImmediate(resolve));
    for (const { req } of exchanges) {
      expect([req.aborted, req.complete, req.readableEnded, req.destroyed]).toEqual([
        true,
        false,
        false,
        true,
      ]);
    }
    expect(heard.sort()).toEqual(Array(exchanges.length).fill(expected.heard).flat().sort());
    expect([expected.req.aborted, expected.req.complete]).toEqual([true, false]);
    if (name === "multer with a file on disk") await until(() => readdirSync(folder).length === 0);
  });
});
