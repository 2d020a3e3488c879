import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import busboy from "busboy";
import express, { type RequestHandler } from "express";
import formidable from "formidable";
import multer from "multer";
import { cache, compress, portico, timeout } from "../../../src/index.js";
import { ask1 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, until } from "../../support/server.js";
import { fromPage, PAGE_ORIGIN, stalledPost } from "./support.js";

// Three packages that read forms, after portico, cache, compress and timeout.

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "portico-uploads-"));
});
afterEach(async () => {
  await closeServers();
  rmSync(folder, { recursive: true, force: true });
});

const FILE = "bytes of a file that is sent; ".repeat(2_000);
const multipart = { ...fromPage, "content-type": "multipart/form-data; boundary=b" };
const FORM = [
  '--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nA title\r\n',
  '--b\r\nContent-Disposition: form-data; name="photo"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n',
  `${FILE}\r\n--b--\r\n`,
].join("");

/** Each responds with the field and the size of the file. */
const READERS: Record<string, () => RequestHandler[]> = {
  multer: () => [
    multer({ dest: folder }).single("photo"),
    (req, res) => void res.status(201).json({ title: req.body.title, bytes: req.file!.size }),
  ],
  busboy: () => [
    (req, res, next) => {
      let title = "";
      let bytes = 0;
      const reader = busboy({ headers: req.headers });
      reader.on("field", (_name, value) => {
        title = value;
      });
      reader.on("file", (_name, file) => {
        file.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
        });
      });
      reader.on("error", (cause) =>
        next(Object.assign(new Error("The form is malformed.", { cause }), { status: 400 })),
      );
      reader.on("close", () => {
        if (!reader.errored) res.status(201).json({ title, bytes });
      });
      req.pipe(reader);
    },
  ],
  formidable: () => [
    (req, res, next) => {
      formidable({ uploadDir: folder }).parse(req, (error, fields, files) => {
        if (error) return next(Object.assign(error, { status: error.httpCode }));
        res.status(201).json({ title: fields.title![0], bytes: files.photo![0]!.size });
      });
    },
  ],
};

async function stack(handlers: RequestHandler[], limits = { ms: 10_000, totalMs: 20_000 }) {
  const logger = memoryLogger();
  const { before, after } = portico({ logger, cors: { origin: PAGE_ORIGIN } });
  const app = express();
  app.use(before);
  app.use(cache(), compress(), timeout(limits));
  app.post("/photos", ...handlers);
  app.use(after);
  const server = await listen(app);
  const records = () => logger.entries.filter(({ fields }) => fields.durationMs !== undefined);
  return { server, records };
}

const withCors = { "access-control-allow-origin": PAGE_ORIGIN };

describe.each(Object.entries(READERS))("%s", (_name, handlers) => {
  it("a complete form is read, answered, and logged once", async () => {
    const { server, records } = await stack(handlers());
    const got = await ask1(server.url, "/photos", {
      method: "POST",
      headers: multipart,
      body: [FORM.slice(0, 500), FORM.slice(500)],
    });
    expect(got).toMatchObject({ status: 201, headers: withCors });
    expect(JSON.parse(got.body)).toEqual({ title: "A title", bytes: FILE.length });
    await until(() => records().length > 0);
    expect(records().map(({ fields }) => fields.status)).toEqual([201]);
  });

  it("a handler that fails after it is a 500 with CORS headers, and one record", async () => {
    const list = handlers();
    const read = list[list.length - 1]!;
    list[list.length - 1] = (req, res, next) => {
      res.json = () => {
        next(new Error("The database is down."));
        return res;
      };
      read(req, res, next);
    };
    const { server, records } = await stack(list);
    const got = await ask1(server.url, "/photos", { method: "POST", headers: multipart, body: FORM });
    expect(got).toMatchObject({ status: 500, headers: withCors });
    await until(() => records().length > 0);
    expect(records().map(({ fields }) => [fields.status, fields.error?.message])).toEqual([
      [500, "The database is down."],
    ]);
  });

  it("an upload that stalls is a 503 of timeout with CORS headers, and one record", async () => {
    const { server, records } = await stack(handlers(), { ms: 100, totalMs: 10_000 });
    const length = { ...multipart, "content-length": String(FORM.length) };
    const got = await stalledPost(server, "/photos", length, FORM.slice(0, 5_000), 2_000);
    expect([got.status, got.text.includes(`Access-Control-Allow-Origin: ${PAGE_ORIGIN}`)]).toEqual([
      503,
      true,
    ]);
    await until(() => records().length > 0);
    expect(records().map(({ fields }) => [fields.status, fields.timedOut])).toEqual([[503, true]]);
  });

  it("a client that leaves half-way is a 499 and one record, and its file is removed", async () => {
    const { server, records } = await stack(handlers());
    const length = { ...multipart, "content-length": String(FORM.length) };
    await stalledPost(server, "/photos", length, FORM.slice(0, 5_000), 50);
    await until(() => records().length > 0 && readdirSync(folder).length === 0);
    expect(records().map(({ fields }) => [fields.status, fields.aborted])).toEqual([[499, true]]);
  });
});
