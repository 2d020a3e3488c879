import { createHmac } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import os, { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import busboy from "busboy";
import express, { type RequestHandler } from "express";
import formidable from "formidable";
import multer from "multer";
import {
  authenticate,
  bearer,
  cache,
  compress,
  contextOf,
  currentContext,
  portico,
  recover,
  requestContext,
  requestLog,
  timeout,
} from "../../../src/index.js";
import { ask1 } from "../../support/http2.js";
import { memoryLogger } from "../../support/logger.js";
import { closeServers, listen, type TestServer, until } from "../../support/server.js";
import {
  captureOutput,
  fromPage,
  listenToExample,
  PAGE_ORIGIN,
  quiet,
  stalledPost,
  statusOf,
} from "./support.js";

describe("body parsers", () => {
  afterEach(async () => {
    jest.restoreAllMocks();
    await closeServers();
  });

  const json = { "content-type": "application/json" };
  const stalls = { ...json, "content-length": "100" };
  const nobody = () => authenticate(bearer({ verify: () => false }));

  function appOf(...handlers: RequestHandler[]): express.Express {
    const app = express();
    app.use(...handlers);
    app.post("/", (req, res) => void res.json(req.body ?? "nothing"));
    app.use(recover({ logger: quiet }));
    return app;
  }

  describe("the examples", () => {
    beforeEach(() => void captureOutput());

    const key = { "x-api-key": "a-long-random-key" };
    const bomb = gzipSync(`[${" ".repeat(1_000_000)}]`);

    it.each([
      ["JSON", json, '{"a":1}', 201, '{"a":1}'],
      ["gzip of JSON", { ...json, "content-encoding": "gzip" }, gzipSync("[1]"), 201, "[1]"],
      ["a form", { "content-type": "application/x-www-form-urlencoded" }, "a=1", 201, '{"a":"1"}'],
      ["JSON that does not parse", json, "{nope", 400, '"detail":"Expected property name'],
      ["neither object nor list", json, "1", 400, "is not valid JSON"],
      ["too much", json, `"${"x".repeat(10_240)}"`, 413, "request entity too large"],
      ["a kilobyte of a megabyte", { ...json, "content-encoding": "gzip" }, bomb, 413, "too large"],
      [
        "an unknown encoding",
        { ...json, "content-encoding": "rot13" },
        "{}",
        415,
        "unsupported content encoding",
      ],
      ["a strange charset", { "content-type": "application/json; charset=latin1" }, "{}", 415, "charset"],
      ["another type", { "content-type": "text/csv" }, "a,b", 415, "Send JSON."],
    ])("%s", async (_name, headers, body, status, part) => {
      const { url } = await listenToExample("Body parsers");
      const answer = await ask1(url, "/orders", { method: "POST", headers: { ...key, ...headers }, body });
      expect(answer).toMatchObject({ status, body: expect.stringContaining(part) });
      if (status >= 400) expect(answer.headers["content-type"]).toContain("application/problem+json");
    });

    it("a signature is checked over the original bytes", async () => {
      const { url } = await listenToExample("Body parsers", 1);
      const body = '{ "event" : "paid" }';
      const signature = createHmac("sha256", "only-for-this-example").update(body).digest("hex");
      const send = (text: string | undefined) =>
        ask1(url, "/webhook", {
          method: "POST",
          headers: { ...json, "x-signature": signature },
          ...(text !== undefined && { body: text }),
        });
      expect(await send(body)).toMatchObject({ status: 200, body: '{"event":"paid"}' });
      expect((await send(body.replace("paid", "void"))).status).toBe(403);
      expect((await send(undefined)).status).toBe(403);
    });
  });

  it.each([
    ["after authenticate the 401 does not wait", [nobody(), express.json()], 401],
    ["before it, it does", [express.json(), nobody()], undefined],
    ["after timeout a stalled upload is a 503", [timeout(50), express.json()], 503],
    ["before it, there is no answer", [express.json(), timeout(50)], undefined],
  ])("%s", async (_name, handlers, status) => {
    const server = await listen(appOf(...handlers));
    expect((await stalledPost(server, "/", stalls, "{")).status).toBe(status);
  });

  it("an unknown content type is not parsed: the handler runs without a body", async () => {
    const server = await listen(appOf(express.json()));
    for (const type of ["text/csv", "application/vnd.api+json"]) {
      const answer = await ask1(server.url, "/", {
        method: "POST",
        headers: { "content-type": type },
        body: "{}",
      });
      expect(answer).toMatchObject({ status: 200, body: '"nothing"' });
    }
  });

  it("a client that leaves half-way is a 499 in the log, and recover gets no error", async () => {
    const entries = memoryLogger();
    const errors = memoryLogger();
    const app = express();
    app.use(requestLog({ logger: entries }), express.json());
    app.use(recover({ logger: errors }));
    await stalledPost(await listen(app), "/", stalls, "{");
    await until(() => entries.entries.length > 0 && errors.entries.length > 0);
    expect(entries.entries[0]!.fields).toMatchObject({ status: 499, aborted: true });
    expect(errors.entries).toMatchObject([{ level: "info" }]);
  });

  it("with express.json before it, a route with express.raw gets no bytes", async () => {
    const app = express();
    app.use(express.json());
    app.post("/", express.raw({ type: () => true }), (req, res) => void res.json(Buffer.isBuffer(req.body)));
    const server = await listen(app);
    expect((await ask1(server.url, "/", { method: "POST", headers: json, body: "{}" })).body).toBe("false");
    expect(await statusOf(server, "/", { method: "POST" })).toBe(200);
  });
});

describe("multer", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(os.tmpdir(), "portico-multer-"));
    jest.spyOn(os, "tmpdir").mockReturnValue(folder); // the folder in which the examples store files
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await closeServers();
    rmSync(folder, { recursive: true, force: true });
  });

  const files = () => readdirSync(folder);
  const multipart = { "content-type": "multipart/form-data; boundary=b" };
  const allowed = { authorization: "Bearer let-me-in" };

  function form(content: string, field = "photo"): string {
    const disposition = `Content-Disposition: form-data; name="${field}"; filename="a.jpg"`;
    return `--b\r\n${disposition}\r\n\r\n${content}\r\n--b--\r\n`;
  }

  const upload = (server: TestServer, body: string, headers: Record<string, string> = {}) =>
    ask1(server.url, "/photos", {
      method: "POST",
      headers: { ...multipart, "content-length": String(Buffer.byteLength(body)), ...headers },
      body,
    });

  const nobody = () => authenticate(bearer({ verify: () => false }));
  const take = (limits: multer.Options["limits"] = {}): RequestHandler =>
    multer({ dest: folder, limits }).single("photo");

  function appOf(...handlers: RequestHandler[]): express.Express {
    const app = express();
    app.post("/photos", ...handlers, (req, res) => void res.status(201).json(req.file?.size));
    app.use(recover({ logger: quiet }));
    return app;
  }

  describe("the examples", () => {
    beforeEach(() => void captureOutput());

    it.each([
      ["a file", form("x".repeat(2_000)), {}, 201],
      ["a wrong token", form("x"), { authorization: "Bearer wrong" }, 401],
      ["a file over the limit", form("x".repeat(5_000_001)), {}, 413],
      ["another field", form("x", "other"), {}, 400],
      ["a truncated body", form("x").slice(0, -8), {}, 400],
      ["no boundary", form("x"), { "content-type": "multipart/form-data" }, 400],
    ])("%s", async (_name, body, headers, status) => {
      const server = await listenToExample("multer");
      const answer = await upload(server, body, { ...allowed, ...headers });
      expect(answer.status).toBe(status);
      expect(files()).toHaveLength(status === 201 ? 1 : 0);
      if (status !== 201) expect(answer.headers["content-type"]).toContain("application/problem+json");
    });

    it("an upload with a too large Content-Length is refused at once", async () => {
      const server = await listenToExample("multer");
      const headers = { ...multipart, ...allowed, "content-length": "6000001" };
      expect((await stalledPost(server, "/photos", headers, form("x"))).status).toBe(413);
    });

    it("a disk that cannot be written to is a server error", async () => {
      const server = await listenToExample("multer");
      rmSync(folder, { recursive: true });
      expect((await upload(server, form("x"), allowed)).status).toBe(500);
    });

    it("the file is removed if the handler fails", async () => {
      const server = await listenToExample("multer", 1);
      expect((await upload(server, form("x"), allowed)).status).toBe(500);
      await until(() => files().length === 0);
    });
  });

  it("before authenticate, the file of an unauthenticated client stays and the 401 waits; after it, neither", async () => {
    const stalls = { ...multipart, "content-length": "1000" };
    const after = await listen(appOf(nobody(), take()));
    expect((await upload(after, form("x"))).status).toBe(401);
    expect((await stalledPost(after, "/photos", stalls, "--b")).status).toBe(401);
    expect(files()).toEqual([]);

    const before = await listen(appOf(take(), nobody()));
    expect((await upload(before, form("x"))).status).toBe(401);
    expect(files()).toHaveLength(1);
    expect((await stalledPost(before, "/photos", stalls, "--b")).status).toBeUndefined();
  });

  it.each([
    ["a file over the limit", form("x".repeat(200)), {}],
    ["another field", form("x", "other"), {}],
    ["a truncated body", form("x").slice(0, -8), {}],
    ["no boundary", form("x"), { "content-type": "multipart/form-data" }],
  ])("with recover alone it is a 500: %s", async (_name, body, headers) => {
    expect((await upload(await listen(appOf(take({ fileSize: 100 }))), body, headers)).status).toBe(500);
  });

  it("without the example's clean-up, a handler that fails leaves the file", async () => {
    const fail: RequestHandler = () => {
      throw new Error("The database is down.");
    };
    expect((await upload(await listen(appOf(take(), fail)), form("x"))).status).toBe(500);
    expect(files()).toHaveLength(1);
  });

  describe("an upload that stalls", () => {
    const headers = { ...multipart, "content-length": "100000" };
    const begin = form("x".repeat(2_000)).slice(0, 1_500);

    it("is not refused when it is over the limit, because it has not ended", async () => {
      const server = await listen(appOf(take({ fileSize: 100 })));
      expect((await stalledPost(server, "/photos", headers, begin)).status).toBeUndefined();
    });

    it("is a 503 after timeout, and its file is removed when the connection closes", async () => {
      const server = await listen(appOf(timeout(100), take()));
      const answer = stalledPost(server, "/photos", headers, begin, 2_000);
      await until(() => files().length === 1);
      expect((await answer).status).toBe(503);
      await until(() => files().length === 0);
    });

    it("is a 499 in the log when its client leaves, and its file is removed", async () => {
      const logger = memoryLogger();
      const server = await listen(appOf(requestLog({ logger }), take()));
      await stalledPost(server, "/photos", headers, begin);
      await until(() => logger.entries.length > 0 && files().length === 0);
      expect(logger.entries[0]!.fields).toMatchObject({ status: 499, aborted: true });
    });
  });

  it("after a parser for all content types there is no body left; after express.json there is", async () => {
    const everything = express.raw({ type: () => true });
    expect((await upload(await listen(appOf(everything, take())), form("x"))).status).toBe(500);
    const others = [express.json(), express.urlencoded()];
    expect((await upload(await listen(appOf(...others, take())), form("x"))).body).toBe("1");
  });

  it("currentContext() works after it", async () => {
    const app = express();
    app.use(requestContext());
    app.post("/photos", take(), (req, res) => void res.json(currentContext()?.id === contextOf(req).id));
    const server = await listen(app);
    expect((await upload(server, form("x"))).body).toBe("true");
    expect(await statusOf(server, "/photos", { method: "POST" })).toBe(200);
  });
});

// Three packages that read forms, after portico, cache, compress and timeout.
describe("other uploads", () => {
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
});
