import type express from "express";
import type { ErrorRequestHandler } from "express";
import { bodyLimit, cors, requestContext } from "../../src/index.js";
import { serve } from "../../src/serve/index.js";
import { certificate } from "../support/certificate.js";
import { expressVersions } from "../support/express.js";
import { closeFrameClients, FrameClient, request as head } from "../support/http2-frames.js";
import { closeServers, listen, raw, until } from "../support/server.js";
import { SOAK } from "../support/soak.js";
import { talk, watchProcess } from "../timeout/support.js";
import { closeReaders, type Reader, readers, type Seen, upstreamAborted } from "./support.js";

watchProcess();
const running: (() => unknown)[] = [];
afterEach(async () => {
  await closeFrameClients();
  await Promise.all(running.splice(0).map((close) => close()));
  await closeServers();
  await closeReaders();
});

const LIMIT = 10_000;
const ORIGIN = "https://app.example";

async function appOf(from: typeof express, reader: Reader, seen: Seen): Promise<express.Express> {
  const app = from();
  app.use(requestContext({ check: false }), cors({ origin: ORIGIN }), bodyLimit(LIMIT));
  const read = await reader.make(seen);
  // Express 4 does not see a rejected promise.
  app.post("/", (req, res, next) => void Promise.resolve(read(req, res, next)).catch(next));
  app.post("/", (_req, res) => {
    seen.handled = true;
    res.send("ok");
  });
  const note: ErrorRequestHandler = (error, _req, res, _next) => {
    seen.errors.push(error);
    if (!res.headersSent) res.status(error.status ?? 500).send("error handler");
  };
  app.use(note);
  return app;
}

const newSeen = (): Seen => ({ bytes: 0, errors: [], handled: false });

function refused(text: string): void {
  expect(text).toMatch(/^HTTP\/1\.1 413 /);
  expect(text).toMatch(new RegExp(`access-control-allow-origin: ${ORIGIN}`, "i"));
  expect(text).toMatch(/\r\nConnection: close\r\n/i);
  expect(text).toContain('"status":413');
  expect(text).toContain(`"detail":"The body may have at most ${LIMIT} bytes."`);
}

function sawOneError(seen: Seen): void {
  expect(seen.handled).toBe(false);
  expect(seen.bytes).toBeLessThanOrEqual(LIMIT);
  expect(seen.errors).toEqual([expect.objectContaining({ status: 413, type: "entity.too.large" })]);
}

const chunk = (data: Buffer) =>
  Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from("\r\n")]);

function pieces(body: Buffer, size: number): Buffer[] {
  const list: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) list.push(body.subarray(at, at + size));
  return list;
}

const fields = (reader: Reader) =>
  Object.entries({ Origin: ORIGIN, "Content-Type": reader.type, ...reader.headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");

const start = (reader: Reader, more: string) =>
  `POST / HTTP/1.1\r\nHost: a\r\n${fields(reader)}${more}\r\n\r\n`;

/** Variants of other readers. */
const IN_SOAK = [
  "express.json, gzip",
  "express.urlencoded",
  "multer, to files",
  "formidable",
  "pipeline to a file",
  "for await",
];

/** How a reader reads does not depend on Express; how its errors reach the app does. */
const isForAll = ({ name }: Reader) => ["express.json", "multer, in memory", "for await"].includes(name);

describe.each(expressVersions)("%s", (version, from) => {
  const some =
    from === expressVersions[0]![1]
      ? readers.filter(({ name }) => SOAK || !IN_SOAK.includes(name))
      : readers.filter(isForAll);
  describe.each(some)("$name", (reader) => {
    it("gets a body within the limit, of known length, in chunks, and the next request on the same connection", async () => {
      const seen = newSeen();
      const { port } = await listen(await appOf(from, reader, seen));
      const body = reader.body(5_000);
      const chunked = [
        start(reader, "Transfer-Encoding: chunked"),
        ...pieces(body, 1_000).map(chunk),
        "0\r\n\r\n",
      ];
      const whole = [start(reader, `Content-Length: ${body.length}`), body];
      if (reader.name === "http-proxy-middleware") {
        // Its upstream says `Connection: close`, which it passes on.
        for (const parts of [chunked, whole])
          expect((await raw(port, parts)).text).toMatch(/^HTTP\/1\.1 200 /);
      } else {
        const connection = await talk(port);
        for (const part of [...whole, ...chunked, ...whole]) connection.send(part);
        await connection.has(/(?:HTTP\/1\.1 200 .*?){3}ok$/s);
        connection.close();
      }
      expect(seen.errors).toEqual([]);
    });

    it("never gets a body of a known length over the limit", async () => {
      const seen = newSeen();
      const { port } = await listen(await appOf(from, reader, seen));
      const { text, end } = await raw(port, start(reader, "Content-Length: 20000000"), 1_000);
      refused(text);
      expect(end).toBe("fin");
      expect(seen).toEqual(newSeen());
    });

    it("fails with one error when a body of unknown length is over the limit", async () => {
      const seen = newSeen();
      const { port } = await listen(await appOf(from, reader, seen));
      const body = pieces(reader.body(200_000), 7_000).map(chunk);
      const aborted = upstreamAborted();
      const { text, end } = await raw(port, [start(reader, "Transfer-Encoding: chunked"), ...body], 2_000);
      refused(text);
      expect(end).toBe("fin");
      await until(() => seen.errors.length > 0);
      sawOneError(seen);
      if (reader.name === "http-proxy-middleware") await until(() => upstreamAborted() > aborted);
    });

    it("fails with one error when all of it comes in one packet, with the end", async () => {
      const seen = newSeen();
      const { port } = await listen(await appOf(from, reader, seen));
      const body = chunk(reader.body(20_000));
      const all = [Buffer.from(start(reader, "Transfer-Encoding: chunked")), body, Buffer.from("0\r\n\r\n")];
      const { text, end } = await raw(port, Buffer.concat(all), 2_000);
      refused(text);
      expect(end).toBe("fin");
      await until(() => seen.errors.length > 0);
      sawOneError(seen);
    });

    if (version === "Express 4") return; // it has no HTTP/2
    it("fails over HTTP/2, with a length and without, and the session goes on", async () => {
      const seen = newSeen();
      const app = await appOf(from, reader, seen);
      app.get("/fine", (_req, res) => void res.send("fine"));
      const { server, close } = await serve(app, {
        port: 0,
        host: "127.0.0.1",
        tls: await certificate(),
        http2: true,
        signals: false,
      });
      running.push(close);
      const client = await FrameClient.connect((server.address() as { port: number }).port);
      const given = Object.entries({ origin: ORIGIN, "content-type": reader.type, ...reader.headers });
      client.headers(1, head("POST", "/", [...given, ["content-length", "20000"]]));
      await until(() => client.hasEnded(1));
      expect(client.status(1)).toBe(413);
      expect(seen).toEqual(newSeen());

      client.headers(3, head("POST", "/", given));
      for (const piece of pieces(reader.body(30_000), 7_000)) client.data(3, piece);
      await until(() => client.hasEnded(3) && client.resetCode(3) !== undefined);
      expect(client.status(3)).toBe(413);
      expect(client.resetCode(3)).toBe(0); // NO_ERROR
      expect(client.body(3)).toContain('"status":413');
      await until(() => seen.errors.length > 0);
      sawOneError(seen);

      client.headers(5, head("GET", "/fine"), { endStream: true });
      await until(() => client.hasEnded(5));
      expect(client.status(5)).toBe(200);
    });
  });
});
