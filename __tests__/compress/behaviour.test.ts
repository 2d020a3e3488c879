import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import express, { type RequestHandler, type Response } from "express";
import { compress } from "../../src/compress/index.js";
import { closeServers, listen, raw } from "../support/server.js";
import { SOAK } from "../support/soak.js";
import { ask, ENCODINGS, get, hasZstd, noise, serve, text } from "./support.js";

afterEach(closeServers);

const TEXT = text(5_000);
const sendText: RequestHandler = (_req, res) => void res.type("text").send(TEXT);
const sends =
  (body: string | Buffer, headers: Record<string, string | string[]> = {}): RequestHandler =>
  (_req, res) => {
    res.type("text").set(headers);
    res.send(body);
  };

describe("the encoding", () => {
  it.each(
    ENCODINGS,
  )("is %s if the client accepts only that; the bytes are the same, and have a length", async (accept) => {
    const { status, headers, encoding, raw, body } = await get(sendText, { accept });
    expect([status, encoding, headers.vary]).toEqual([200, accept, "Accept-Encoding"]);
    expect(headers["content-length"]).toBe(String(raw.length));
    expect(raw.length).toBeLessThan(2_500);
    expect(body).toBe(TEXT);
  });

  it.each([
    ["br, gzip", "br"],
    ["gzip, br", "br"],
    ["gzip;q=1, br;q=0.1", "gzip"],
    ["gzip;q=0", undefined],
    ["*", hasZstd ? "zstd" : "br"],
    ["gzip;q=0, *", hasZstd ? "zstd" : "br"],
    ["br;q=0, zstd;q=0, deflate;q=0, gzip;q=0, *", undefined],
    ["GZIP", "gzip"],
    ["x-gzip", "gzip"],
    ["gzip;q=banana, br;q=", undefined],
    ["gzip;q=2, deflate", "deflate"],
    ["", undefined],
    ["identity", undefined],
    ["identity;q=0", undefined],
    ["identity;q=0, gzip;q=0.1", "gzip"],
    ["gzip;q=0.5, identity", undefined],
    ["zstd, gzip", hasZstd ? "zstd" : "gzip"],
    ["zstd", hasZstd ? "zstd" : undefined],
    ["nonsense, ;;;, =, gzip", "gzip"],
  ])("for Accept-Encoding %j is %s", async (accept, expected) => {
    const { encoding, headers, body } = await get(sendText, { accept });
    expect([encoding, headers.vary, body === TEXT]).toEqual([expected, "Accept-Encoding", true]);
  });

  it("is none without Accept-Encoding", async () => {
    const { encoding, headers } = await get(sendText);
    expect([encoding, headers.vary, headers["content-length"]]).toEqual([
      undefined,
      "Accept-Encoding",
      "5000",
    ]);
  });

  it("is the first on offer among equal weights", async () => {
    const accept = "gzip, deflate, br";
    const options = { encodings: ["deflate", "br"] } as const;
    expect((await get(sendText, { accept }, { options })).encoding).toBe("deflate");
    expect((await get(sendText, { accept: "gzip" }, { options })).encoding).toBeUndefined();
  });
});

describe("the threshold", () => {
  it.each([
    [1_023, undefined, undefined],
    [1_024, undefined, "gzip"],
    [99, 100, undefined],
    [100, 100, "gzip"],
    [50, 0, "gzip"],
    [0, 0, undefined],
  ])("%d bytes with threshold %j: %s", async (bytes, threshold, expected) => {
    const options = { threshold };
    const { encoding, headers, body } = await get(sends("a".repeat(bytes)), { accept: "gzip" }, { options });
    expect([encoding, headers.vary, body.length]).toEqual([expected, "Accept-Encoding", bytes]);
    if (expected === undefined) expect(headers["content-length"]).toBe(String(bytes));
  });

  it.each<[string, (res: Response) => void]>([
    ["in one piece", (res) => void res.end("a".repeat(1_023))],
    [
      "in many",
      (res) => {
        for (let i = 0; i < 1_023; i++) res.write("a");
        res.end();
      },
    ],
    [
      "over several turns",
      (res) => {
        res.write("a".repeat(1_000));
        setImmediate(() => res.end("a".repeat(23)));
      },
    ],
  ])("a body of unknown length below it, %s, has a length and no encoding", async (_name, write) => {
    const { encoding, headers, body } = await get(
      (_req, res) => {
        res.type("text");
        write(res);
      },
      { accept: "gzip" },
    );
    expect([encoding, headers["content-length"], headers["transfer-encoding"]]).toEqual([
      undefined,
      "1023",
      undefined,
    ]);
    expect([headers.vary, body]).toEqual(["Accept-Encoding", "a".repeat(1_023)]);
  });

  it("a body of unknown length above it is encoded as a stream", async () => {
    const { encoding, headers, body } = await get(
      (_req, res) => {
        res.type("text");
        for (let i = 0; i < 100; i++) res.write(TEXT.slice(i * 50, i * 50 + 50));
        res.end();
      },
      { accept: "br" },
    );
    expect([encoding, headers["transfer-encoding"], body]).toEqual(["br", "chunked", TEXT]);
  });

  it.each([
    2_000,
    20_000,
    ...(SOAK ? [700_000, 4_000_000] : []),
    1_200_000, // more than is collected
  ])("%d bytes that do not get smaller are sent as they are", async (bytes) => {
    const body = noise(bytes);
    for (const accept of ENCODINGS) {
      const { encoding, headers, raw } = await get(sends(body), { accept });
      expect([encoding, headers["content-length"], raw.equals(body)]).toEqual([
        undefined,
        String(bytes),
        true,
      ]);
    }
  });

  it.each([
    16_384,
    16_385,
    100_000,
    ...(SOAK ? [12_000_000] : []),
  ])("%d bytes at once come back whole", async (bytes) => {
    const body = text(bytes);
    for (const accept of ENCODINGS) {
      const answer = await get(sends(body), { accept });
      expect([answer.encoding, answer.body === body]).toEqual([accept, true]);
      expect(answer.raw.length).toBeLessThan(bytes / 4);
    }
  });
});

describe("validators", () => {
  const withEtag = (etag: string): RequestHandler => sends(TEXT, { ETag: etag });

  it.each([
    ["gzip", '"x"', 'W/"x"'],
    ["gzip", 'W/"x"', 'W/"x"'],
    ["identity", '"x"', '"x"'],
    ["identity", 'W/"x"', 'W/"x"'],
  ])("with %s the ETag %s is sent as %s", async (accept, etag, expected) => {
    expect((await get(withEtag(etag), { accept })).headers.etag).toBe(expected);
  });

  it.each(['W/"x"', '"x"', '"y", W/"x"', "*"])("If-None-Match: %s still gives a 304", async (known) => {
    const answer = await get(withEtag('"x"'), { accept: "gzip", headers: { "If-None-Match": known } });
    expect([answer.status, answer.encoding, answer.raw.length]).toEqual([304, undefined, 0]);
    expect(answer.headers.vary).toBe("Accept-Encoding");
    // As in the 200, for a client that has the encoded body.
    expect(answer.headers.etag).toBe(known.includes("W/") ? 'W/"x"' : '"x"');
  });

  it("If-Match with the weak one fails: it is not known to be the same bytes", async () => {
    const put: RequestHandler = (req, res) => {
      if (req.get("if-match") === '"x"') res.send("changed");
      else res.status(412).type("text").send(TEXT);
    };
    const server = await serve((req, res, next) =>
      (req.method === "PUT" ? put : withEtag('"x"'))(req, res, next),
    );
    const { etag } = (await ask(server, { accept: "gzip" })).headers;
    const answer = await ask(server, { method: "PUT", accept: "gzip", headers: { "If-Match": etag! } });
    expect([answer.status, answer.body]).toEqual([412, TEXT]);
  });
});

describe("untouched", () => {
  it.each<[string, Record<string, string | string[]>, string | undefined]>([
    ["Content-Range", { "Content-Range": "bytes 0-4999/9000" }, "Accept-Encoding"],
    ["no-transform", { "Cache-Control": "no-transform" }, undefined],
    ["no-transform in upper case, last", { "Cache-Control": "public, max-age=1,No-Transform" }, undefined],
    ["no-transform in a list of fields", { "Cache-Control": ["public", "no-transform"] }, undefined],
    ["image/jpeg", { "Content-Type": "image/jpeg" }, undefined],
    ["video/mp4", { "Content-Type": "video/mp4" }, undefined],
    ["application/zip", { "Content-Type": "application/zip" }, undefined],
    ["font/woff2", { "Content-Type": "font/woff2" }, undefined],
    ["application/grpc", { "Content-Type": "application/grpc" }, undefined],
    ["application/grpc+proto", { "Content-Type": "application/grpc+proto" }, undefined],
    ["multipart/x-mixed-replace", { "Content-Type": "multipart/x-mixed-replace; boundary=b" }, undefined],
    ["text/event-stream", { "Content-Type": "text/event-stream" }, undefined],
    ["an encoded body", { "Content-Encoding": "br" }, undefined],
    ["a body that is encoded twice", { "Content-Encoding": ["gzip", "br"] }, undefined],
  ])("%s", async (_name, headers, vary) => {
    const handler: RequestHandler = (_req, res) => {
      res.writeHead(200, { "Content-Type": "text/plain", ETag: '"x"', "Content-Length": 5_000, ...headers });
      res.end(TEXT);
    };
    const server = await serve(handler);
    const answer = await raw(
      server.port,
      "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
    );
    const [head, body] = answer.text.split("\r\n\r\n");
    expect(body).toBe(TEXT);
    expect(head).toContain('ETag: "x"\r\n');
    expect(head).toContain("Content-Length: 5000\r\n");
    expect(/^vary: (.*)$/im.exec(head!)?.[1]).toBe(vary);
    expect(head!.match(/^content-encoding:/gim)?.length).toBe(
      headers["Content-Encoding"] && [headers["Content-Encoding"]].flat().length,
    );
  });

  it("a body without a type", async () => {
    const answer = await get((_req, res) => void res.end(TEXT), { accept: "gzip" });
    expect([answer.encoding, answer.headers.vary, answer.headers["content-length"]]).toEqual([
      undefined,
      undefined,
      "5000",
    ]);
  });

  it("a body that the app frames itself", async () => {
    const answer = await get(
      (_req, res) => {
        res.writeHead(200, { "Content-Type": "text/plain", "Transfer-Encoding": "chunked" });
        res.end(TEXT);
      },
      { accept: "gzip" },
    );
    expect([answer.encoding, answer.headers["transfer-encoding"], answer.body]).toEqual([
      undefined,
      "chunked",
      TEXT,
    ]);
  });

  it("a response with trailers", async () => {
    const answer = await get(
      (_req, res) => {
        res.writeHead(200, { "Content-Type": "text/plain", Trailer: "X-Sum" });
        res.write(TEXT);
        res.addTrailers({ "X-Sum": "1" });
        res.end();
      },
      { accept: "gzip" },
    );
    expect([answer.encoding, answer.body]).toEqual([undefined, TEXT]);
  });

  it("Content-Encoding: identity counts as none, and is replaced", async () => {
    const answer = await get(sends(TEXT, { "Content-Encoding": "identity" }), { accept: "gzip" });
    expect([answer.encoding, answer.body]).toEqual(["gzip", TEXT]);
  });

  it.each([204, 205, 304])("a %d: no encoding, no body", async (status) => {
    const answer = await get(
      (_req, res) => void res.status(status).type("text").end(),
      { accept: "gzip" },
      {
        options: { threshold: 0 },
      },
    );
    expect([answer.status, answer.encoding, answer.raw.length]).toEqual([status, undefined, 0]);
  });

  it("an interim response", async () => {
    const server = await serve((_req, res) => {
      res.writeEarlyHints({ link: "</a.css>; rel=preload" });
      res.type("text").send(TEXT);
    });
    const { text } = await raw(server.port, "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    expect(text).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: [^\r]*\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    expect(text.match(/content-encoding: gzip/gi)).toHaveLength(1);
  });

  it("OPTIONS", async () => {
    const answer = await get(sendText, { method: "OPTIONS", accept: "gzip" });
    expect([answer.encoding, answer.headers.vary, answer.body]).toEqual([undefined, undefined, TEXT]);
  });

  it("an upgrade to another protocol", async () => {
    const server = await serve(() => {});
    const app = server.server.listeners("request")[0] as (...args: unknown[]) => void;
    const http = await import("node:http");
    server.server.on("upgrade", (req, socket) => {
      const res = new http.ServerResponse(req);
      app(req, res);
      expect(Object.hasOwn(res, "write")).toBe(false);
      socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhi");
    });
    const { text } = await raw(
      server.port,
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nAccept-Encoding: gzip\r\n\r\n",
    );
    expect(text).toMatch(/^HTTP\/1\.1 101 .*\r\n\r\nhi$/s);
  });

  it("CONNECT, which Node passes to no app", async () => {
    const req = { method: "CONNECT", headers: {} };
    const res = { headersSent: false };
    compress()(req as never, res as never, () => {});
    expect(Object.keys(res)).toEqual(["headersSent"]);
  });

  it("the request's own Content-Encoding", async () => {
    const answer = await get((req, res) => void res.send(String(req.headers["content-encoding"])), {
      method: "POST",
      headers: { "Content-Encoding": "gzip" },
    });
    expect(answer.body).toBe("gzip");
  });
});

it.each([
  "image/svg+xml",
  "application/json",
  "application/problem+json; charset=utf-8",
  "application/wasm",
  "application/atom+xml",
  "TEXT/HTML ; charset=utf-8",
])("%s is encoded", async (type) => {
  const answer = await get(
    (_req, res) => {
      res.setHeader("Content-Type", type);
      res.end(TEXT);
    },
    { accept: "gzip" },
  );
  expect([answer.encoding, answer.headers["content-type"], answer.body]).toEqual(["gzip", type, TEXT]);
});

describe("headers", () => {
  it.each([
    ["Origin", "Origin, Accept-Encoding"],
    ["accept-encoding", "accept-encoding"],
    ["Origin, Accept-Encoding", "Origin, Accept-Encoding"],
    ["*", "*"],
  ])("Vary: %s becomes %s", async (vary, expected) => {
    expect((await get(sends(TEXT, { Vary: vary }), { accept: "gzip" })).headers.vary).toBe(expected);
  });

  it("that describe the plain bytes are removed if the body is encoded, and kept if not", async () => {
    const stale = {
      "Content-MD5": "a",
      "Content-Digest": "b",
      "Repr-Digest": "c",
      Digest: "d",
      "Accept-Ranges": "bytes",
    };
    const names = Object.keys(stale).map((name) => name.toLowerCase());
    const server = await serve(sends(TEXT, stale));
    const coded = await ask(server, { accept: "gzip" });
    expect(names.filter((name) => name in coded.headers)).toEqual([]);
    const plain = await ask(server);
    expect(names.filter((name) => name in plain.headers)).toEqual(names);
  });

  it.each<[string, (res: Response) => void]>([
    [
      "an object",
      (res) => void res.writeHead(200, { "X-A": "1", "Content-Type": "text/plain", "Content-Length": 5_000 }),
    ],
    [
      "a reason and an object",
      (res) =>
        void res.writeHead(200, "Fine", {
          "X-A": "1",
          "Content-Type": "text/plain",
          "Content-Length": 5_000,
        }),
    ],
    [
      "undefined and an object",
      (res) =>
        void res.writeHead(200, undefined, {
          "X-A": "1",
          "Content-Type": "text/plain",
          "Content-Length": 5_000,
        }),
    ],
    [
      "a flat list",
      (res) => void res.writeHead(200, ["X-A", "1", "Content-Type", "text/plain", "Content-Length", "5000"]),
    ],
    [
      "a list of pairs",
      (res) =>
        void res.writeHead(200, [
          ["X-A", "1"],
          ["Content-Type", "text/plain"],
          ["Content-Length", "5000"],
        ] as never),
    ],
  ])("given to writeHead as %s are kept, but for the length", async (_name, writeHead) => {
    const answer = await get(
      (_req, res) => {
        writeHead(res);
        res.end(TEXT);
      },
      { accept: "gzip" },
    );
    expect([answer.headers["x-a"], answer.encoding, answer.body]).toEqual(["1", "gzip", TEXT]);
    expect(answer.headers["content-length"]).toBe(String(answer.raw.length));
  });

  it("are those of the GET in an answer to HEAD, without a length that is not known", async () => {
    const server = await serve((req, res) => {
      if (req.path === "/flushed") {
        res.type("text").flushHeaders();
        res.write("short");
        (res as never as { flush(): void }).flush();
        setImmediate(() => res.end());
      } else if (req.path === "/stream") {
        res.type("text");
        res.write(TEXT);
        res.end();
      } else if (req.path === "/small") res.type("text").send("small");
      else if (req.path === "/image") res.type("png").send(Buffer.from(TEXT));
      else res.type("text").set("ETag", '"x"').send(TEXT);
    });
    for (const path of ["/", "/flushed", "/stream", "/small", "/image"]) {
      const [byGet, byHead] = [
        await ask(server, { path, accept: "gzip" }),
        await ask(server, { path, method: "HEAD", accept: "gzip" }),
      ];
      expect(byHead.raw.length).toBe(0);
      for (const name of ["vary", "etag", "content-encoding", "content-type"]) {
        expect([path, name, byHead.headers[name]]).toEqual([path, name, byGet.headers[name]]);
      }
      const length = byGet.encoding === undefined ? byGet.headers["content-length"] : undefined;
      expect(byHead.headers["content-length"]).toBe(length);
    }
  });

  it("in an answer to HEAD of which nothing is known have the Vary of GET", async () => {
    const answer = await get((_req, res) => void res.type("text").end(), { method: "HEAD", accept: "gzip" });
    expect([answer.encoding, answer.headers.vary, answer.headers["content-length"]]).toEqual([
      undefined,
      "Accept-Encoding",
      undefined,
    ]);
  });
});

describe("what writes", () => {
  const folder = mkdtempSync(join(tmpdir(), "compress-"));
  const file = join(folder, "page.txt");
  const small = join(folder, "small.txt");
  beforeAll(() => {
    writeFileSync(file, text(60_000));
    writeFileSync(small, TEXT);
    writeFileSync(join(folder, "page.html"), "<%= name %>");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const writers: Record<string, [RequestHandler, string]> = {
    "res.sendFile": [(_req, res) => res.sendFile(file), text(60_000)],
    "res.sendFile of a small file": [(_req, res) => res.sendFile(small), TEXT],
    "express.static": [
      (req, res, next) => express.static(folder)(Object.assign(req, { url: "/page.txt" }), res, next),
      text(60_000),
    ],
    pipe: [(_req, res) => void createReadStream(file).pipe(res.type("text")), text(60_000)],
    "res.json": [(_req, res) => void res.json({ a: TEXT }), JSON.stringify({ a: TEXT })],
    "res.render": [
      (req, res) => {
        req.app.engine("html", (_path, _options, done) => done(null, TEXT));
        req.app.set("views", folder);
        res.render("page.html");
      },
      TEXT,
    ],
    "an async generator": [
      async (_req, res) => {
        async function* lines() {
          for (const line of text(60_000).split(";")) yield `${line};`;
        }
        await pipeline(Readable.from(lines()), res.type("text"));
      },
      `${text(60_000)};`,
    ],
    "end with a callback alone": [
      (_req, res) => {
        res.type("text").write(TEXT);
        res.end(() => {});
      },
      TEXT,
    ],
    "strings in other encodings": [
      (_req, res) => {
        res.type("text").write(Buffer.from(TEXT).toString("hex"), "hex");
        res.write(Buffer.from("ä").toString("latin1"), "latin1");
        res.end(Buffer.from(TEXT).toString("base64"), "base64");
      },
      `${TEXT}ä${TEXT}`,
    ],
  };

  it.each(Object.entries(writers))("%s", async (_name, [handler, expected]) => {
    const server = await serve(handler);
    for (const accept of [...ENCODINGS, "identity"]) {
      const { status, encoding, body } = await ask(server, { accept });
      expect([status, encoding, body === expected]).toEqual([
        200,
        accept === "identity" ? undefined : accept,
        true,
      ]);
    }
  });

  it("static files before compress are not encoded", async () => {
    const answer = await get(
      sendText,
      { path: "/page.txt", accept: "gzip" },
      { before: [express.static(folder)] },
    );
    expect([answer.encoding, answer.body.length]).toEqual([undefined, 60_000]);
  });

  it("a range of a static file is exactly the bytes that were asked for", async () => {
    const server = await serve(express.static(folder));
    const answer = await ask(server, {
      path: "/page.txt",
      accept: "gzip",
      headers: { Range: "bytes=100-4099" },
    });
    expect([answer.status, answer.encoding, answer.headers["content-range"]]).toEqual([
      206,
      undefined,
      "bytes 100-4099/60000",
    ]);
    expect([answer.headers["content-length"], answer.body]).toEqual(["4000", text(60_000).slice(100, 4_100)]);
  });
});

it("an HTTP/1.0 client is sent no chunks", async () => {
  const server = await serve((req, res) => {
    if (req.url === "/whole") res.type("text").send(TEXT);
    else {
      res.type("text").write(TEXT);
      res.end(TEXT);
    }
  });
  for (const [path, length] of [
    ["/whole", true],
    ["/parts", false],
  ] as const) {
    const answer = await raw(server.port, `GET ${path} HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n`);
    expect(answer.end).toBe("fin");
    const [head = "", body = ""] = answer.text.split(/\r\n\r\n(.*)/s);
    expect(head).not.toMatch(/transfer-encoding/i);
    expect(/^content-length: (\d+)$/im.test(head)).toBe(length);
    const { gunzipSync } = await import("node:zlib");
    expect(gunzipSync(Buffer.from(body, "latin1")).toString()).toBe(length ? TEXT : TEXT + TEXT);
  }
});

it("two of them encode once, with the options of the inner one", async () => {
  const app = express();
  app.use(compress());
  app.use("/never", compress({ filter: () => false }));
  app.use("/small", compress({ threshold: 10 }));
  app.use((_req, res) => void res.type("text").send("a".repeat(2_000)));
  const server = await listen(app);
  const answers = await Promise.all(
    ["/", "/never", "/small"].map((path) => ask(server, { path, accept: "gzip" })),
  );
  expect(answers.map(({ encoding, body }) => [encoding, body.length])).toEqual([
    ["gzip", 2_000],
    [undefined, 2_000],
    ["gzip", 2_000],
  ]);
});

describe("filter", () => {
  it.each<[string, unknown, string | undefined]>([
    ["true", () => true, "gzip"],
    ["false", () => false, undefined],
    ["something else than true", () => "yes", undefined],
    ["a promise", async () => true, undefined],
  ])("says %s", async (_name, filter, expected) => {
    const answer = await get(sendText, { accept: "gzip" }, { options: { filter: filter as never } });
    expect([answer.encoding, answer.headers.vary, answer.body]).toEqual([
      expected,
      expected && "Accept-Encoding",
      TEXT,
    ]);
  });

  it("sees the request and the response, and narrows the list: it cannot widen it", async () => {
    const filter = jest.fn((_req: unknown, res: Response) => res.locals.plain !== true);
    const server = await serve(
      (req, res) => {
        res.locals.plain = req.path === "/plain";
        res.type(req.path === "/image" ? "png" : "text").send(Buffer.from(TEXT));
      },
      { options: { filter } },
    );
    const answers = await Promise.all(
      ["/", "/plain", "/image"].map((path) => ask(server, { path, accept: "gzip" })),
    );
    expect(answers.map(({ encoding }) => encoding)).toEqual(["gzip", undefined, undefined]);
    expect(filter).toHaveBeenCalledTimes(2);
  });

  it("throws: the body is sent as it is, and the error is logged", async () => {
    const stderr = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    const filter = () => {
      throw new Error("bad filter");
    };
    const answer = await get(sendText, { accept: "gzip" }, { options: { filter } });
    expect([answer.encoding, answer.body]).toEqual([undefined, TEXT]);
    expect(stderr.mock.calls.flat().join()).toContain("bad filter");
    jest.restoreAllMocks();
  });
});
