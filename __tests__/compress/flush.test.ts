import http from "node:http";
import type http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import { PassThrough, Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import zlib from "node:zlib";
import express5, { type RequestHandler } from "express";
import { cache } from "../../src/cache/index.js";
import { type CompressOptions, compress } from "../../src/compress/index.js";
import { timeout } from "../../src/timeout/index.js";
import { expressVersions } from "../support/express.js";
import { closeHttp2, connectHttp2, listenHttp2 } from "../support/http2.js";
import { closeServers, listen, until } from "../support/server.js";
import { ask, ENCODINGS, get, noise, serve, text } from "./support.js";

afterEach(closeServers);

// What a handler has written reaches the client when the handler pauses.
describe("flush", () => {
  afterEach(closeHttp2);

  interface Open {
    readonly response: http.IncomingMessage;
    /** The decoded part of what has come. */
    text(): string;
    /** All of it, when it is complete. */
    whole(): Promise<string>;
  }

  const DECODERS: Record<string, () => NodeJS.ReadWriteStream> = {
    gzip: zlib.createGunzip,
    deflate: zlib.createInflate,
    br: zlib.createBrotliDecompress,
    zstd: () =>
      (zlib as unknown as { createZstdDecompress(): NodeJS.ReadWriteStream }).createZstdDecompress(),
  };

  /** Resolves when the head has come. */
  async function open(url: string, encoding: string): Promise<Open> {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http
        .get(url, { agent: false, headers: { "accept-encoding": encoding } }, resolve)
        .once("error", reject);
    });
    const decoder = DECODERS[response.headers["content-encoding"] ?? ""]?.() ?? new PassThrough();
    let seen = "";
    decoder.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    const ended = new Promise((resolve) => decoder.on("end", resolve));
    response.pipe(decoder);
    return { response, text: () => seen, whole: () => ended.then(() => seen) };
  }

  /** A handler that writes a token when it is told to, and ends after the last. */
  function told(tokens: readonly string[]) {
    const goOn: (() => void)[] = [];
    const handler: RequestHandler = async (_req, res) => {
      res.type("text");
      for (const token of tokens) {
        res.write(token);
        await new Promise<void>((resolve) => goOn.push(resolve));
      }
      res.end();
    };
    return { handler, goOn: () => goOn.shift()!(), asked: () => goOn.length > 0 };
  }

  describe.each(ENCODINGS)("with %s", (encoding) => {
    test("each token of a handler that pauses comes at once, however short", async () => {
      const tokens = ["a", "few", " tokens; ", text(5_000), "end"];
      const { handler, goOn } = told(tokens);
      const stream = await open((await serve(handler)).url, encoding);
      expect(stream.response.headers["content-encoding"]).toBe(encoding);
      let sent = "";
      for (const token of tokens) {
        sent += token;
        await until(() => stream.text() === sent);
        goOn();
      }
      expect(await stream.whole()).toBe(tokens.join(""));
    });

    test("a web stream that is piped comes chunk by chunk", async () => {
      let push!: (chunk: string) => void;
      const source = new ReadableStream<Uint8Array>({
        start(controller) {
          push = (chunk) =>
            chunk === "" ? controller.close() : controller.enqueue(new TextEncoder().encode(chunk));
        },
      });
      push("first;");
      const { url } = await serve((_req, res) => {
        res.type("text");
        Readable.fromWeb(source as never).pipe(res);
      });
      const stream = await open(url, encoding);
      await until(() => stream.text() === "first;");
      push("second;");
      await until(() => stream.text() === "first;second;");
      push("");
      expect(await stream.whole()).toBe("first;second;");
    });

    test("flushHeaders sends the head, and what is written then follows", async () => {
      let end!: (body: string) => void;
      const { url } = await serve((_req, res) => {
        res.type("text").flushHeaders();
        end = (body) => res.end(body);
      });
      const stream = await open(url, encoding);
      expect([stream.response.headers["content-encoding"], stream.text()]).toEqual([encoding, ""]);
      end("done");
      expect(await stream.whole()).toBe("done");
    });

    test("with jitter too", async () => {
      const { handler, goOn } = told(["one;", "two;"]);
      const stream = await open((await serve(handler, { options: { jitter: true } })).url, encoding);
      await until(() => stream.text() === "one;");
      goOn();
      await until(() => stream.text() === "one;two;");
      goOn();
      expect(await stream.whole()).toBe("one;two;");
    });
  });

  test.each<[string, CompressOptions | undefined, RequestHandler[], RequestHandler[]]>([
    ["inside of a cache", undefined, [cache()], []],
    ["outside of a cache", undefined, [], [cache()]],
    ["outside of a timeout", undefined, [], [timeout({ ms: 10_000, idleMs: 10_000 })]],
    ["inside of a timeout", undefined, [timeout({ ms: 10_000, idleMs: 10_000 })], []],
    ["inside of another compress", undefined, [compress()], []],
  ])("%s tokens come at once", async (_name, options, before, after) => {
    const { handler, goOn } = told(["one;", "two;"]);
    const cacheable: RequestHandler = (_req, res, next) => {
      res.set("Cache-Control", "max-age=60");
      next();
    };
    const { url } = await serve(handler, {
      ...(options && { options }),
      before,
      after: [...after, cacheable],
    });
    const stream = await open(url, "gzip");
    await until(() => stream.text() === "one;");
    goOn();
    await until(() => stream.text() === "one;two;");
    goOn();
    expect(await stream.whole()).toBe("one;two;");
  });

  test.each(expressVersions)("on %s tokens come at once", async (_name, express) => {
    const { handler, goOn } = told(["one;", "two;"]);
    const app = express();
    app.use(compress(), handler);
    const stream = await open((await listen(app)).url, "gzip");
    await until(() => stream.text() === "one;");
    goOn();
    await until(() => stream.text() === "one;two;");
    goOn();
    expect(await stream.whole()).toBe("one;two;");
  });

  test("with flush: false what is short waits for the end, and for res.flush()", async () => {
    const { handler, goOn, asked } = told(["one;", "two;"]);
    const { url } = await serve(handler, { options: { flush: false } });
    const opened = open(url, "gzip");
    for (const _token of ["one", "two"]) {
      await until(asked);
      for (let i = 0; i < 5; i++) await turn();
      goOn();
    }
    const stream = await opened;
    expect(stream.response.headers["content-encoding"]).toBeUndefined();
    expect(stream.response.headers["content-length"]).toBe("8");
    expect(await stream.whole()).toBe("one;two;");
  });

  test("what is written and ended in one turn is a complete body", async () => {
    const short = await get(
      (_req, res) => {
        res.type("text").write("a");
        res.write("b");
        res.end("c");
      },
      { accept: "gzip" },
    );
    expect([short.encoding, short.headers["content-length"], short.body]).toEqual([undefined, "3", "abc"]);
  });

  test("a corked handler's pause sends nothing before it uncorks", async () => {
    let uncork!: () => void;
    const { url } = await serve((_req, res) => {
      res.type("text").cork();
      res.write("corked;");
      uncork = () => {
        res.uncork();
        res.end("end");
      };
    });
    const opened = open(url, "gzip");
    await until(() => uncork !== undefined);
    await turn();
    uncork();
    expect(await (await opened).whole()).toBe("corked;end");
  });

  test("a body with a Content-Length that has come whole is not flushed before its end", async () => {
    const body = text(5_000);
    let end!: () => void;
    const { url } = await serve((_req, res) => {
      res.type("text").set("Content-Length", "5000");
      res.write(body);
      end = () => void res.end();
    });
    const opened = open(url, "gzip");
    await until(() => end !== undefined);
    for (let i = 0; i < 5; i++) await turn();
    end();
    const stream = await opened;
    expect(stream.response.headers["content-length"]).toBeDefined();
    expect(await stream.whole()).toBe(body);
  });

  test("a head that Node refuses at the pause truncates the response, and the process goes on", async () => {
    const { url } = await serve((_req, res) => void res.type("text").write("a"), {
      before: [
        (_req, res, next) => {
          const { writeHead } = res;
          res.writeHead = function (this: typeof res, ...args: unknown[]) {
            this.setHeader("X-Broken", "a\nb");
            return Reflect.apply(writeHead, this, args);
          } as never;
          next();
        },
      ],
    });
    await expect(ask({ url }, { accept: "gzip" })).rejects.toThrow(/hang up|ECONNRESET/);
  });

  describe("an answer to HEAD says what GET says, or nothing", () => {
    const TEXT = text(5_000);
    const HANDLERS: Record<string, RequestHandler> = {
      "text by res.send": (_req, res) => void res.type("text").set("ETag", '"x"').send(TEXT),
      JSON: (_req, res) => void res.json({ text: TEXT }),
      "bytes that do not shrink": (_req, res) => void res.type("text").set("ETag", '"x"').send(noise(5_000)),
      "many bytes that do not shrink": (_req, res) => void res.type("text").send(noise(100_000)),
      "many that do": (_req, res) => void res.type("text").set("ETag", '"x"').send(text(100_000)),
      "a short body": (_req, res) => void res.type("text").set("ETag", '"x"').send("short"),
      "a short one, in parts": (_req, res) => {
        res.type("text").write("a");
        res.end("b");
      },
      "a body that is given to end": (_req, res) =>
        void res.type("text").set("ETag", '"x"').end(noise(5_000)),
      "an image": (_req, res) => void res.type("png").send(noise(5_000)),
      "a file": (_req, res) => void res.type("text").sendFile(__filename),
      "nothing for HEAD": (req, res) => {
        res.type("text").set({ ETag: '"x"', "Content-Length": "5000" });
        res.end(req.method === "HEAD" ? undefined : noise(5_000));
      },
      "nothing for HEAD, of what shrinks": (req, res) => {
        res.type("text").set({ ETag: '"x"', "Content-Length": "5000", "Accept-Ranges": "bytes" });
        res.end(req.method === "HEAD" ? undefined : TEXT);
      },
    };
    test.each(Object.entries(HANDLERS))("%s", async (_name, handler) => {
      for (const encoding of ENCODINGS) {
        const server = await serve(handler);
        const byGet = await ask(server, { accept: encoding });
        const byHead = await ask(server, { accept: encoding, method: "HEAD" });
        expect([byHead.status, byHead.raw.length, byHead.headers.vary]).toEqual([200, 0, byGet.headers.vary]);
        for (const [name, value] of Object.entries(byHead.headers)) {
          if (name !== "date") expect([name, value]).toEqual([name, byGet.headers[name]]);
        }
      }
    });
    test("HEAD has an encoding if the body is known, and a length if it is plain", async () => {
      const server = await serve(
        (req, res) => void res.type("text").send(req.path === "/long" ? TEXT : "short"),
      );
      const [long, short] = [
        await ask(server, { path: "/long", method: "HEAD", accept: "gzip" }),
        await ask(server, { path: "/short", method: "HEAD", accept: "gzip" }),
      ];
      expect([long.encoding, long.headers["content-length"]]).toEqual(["gzip", undefined]);
      expect([short.encoding, short.headers["content-length"]]).toEqual([undefined, "5"]);
    });
  });

  describe("a handler that pauses, over", () => {
    /** Tokens one after the other: each one is read before the next one is written. */
    async function tokensOf(
      encoding: string,
      source: NodeJS.ReadableStream,
      goOn: () => void,
      tokens: readonly string[],
    ): Promise<void> {
      const decoder = DECODERS[encoding]!();
      let seen = "";
      decoder.on("data", (chunk: Buffer) => {
        seen += chunk.toString();
      });
      const ended = new Promise((resolve) => decoder.on("end", resolve));
      source.pipe(decoder);
      let sent = "";
      for (const token of tokens) {
        sent += token;
        await until(() => seen === sent);
        goOn();
      }
      await ended;
      expect(seen).toBe(sent);
    }

    const TOKENS = ["one;", "two;"];

    test.each(ENCODINGS)("HTTP/2, in TLS and without it, with %s", async (encoding) => {
      for (const tls of [true, false]) {
        const { handler, goOn } = told(TOKENS);
        const handle = compress();
        const { url } = await listenHttp2(
          (req: never, res: never) => {
            (res as { type?: unknown }).type = (_type: string) =>
              (res as http.ServerResponse).setHeader("Content-Type", "text/plain");
            handle(req, res, () => void handler(req, res, () => {}));
          },
          { tls },
        );
        const stream = connectHttp2(url).request({ ":path": "/", "accept-encoding": encoding });
        const fields = await new Promise<http2.IncomingHttpHeaders>((resolve) =>
          stream.once("response", resolve),
        );
        expect(fields["content-encoding"]).toBe(encoding);
        await tokensOf(encoding, stream, goOn, TOKENS);
      }
    });

    test.each(ENCODINGS)("HTTP/1.1 in TLS, with %s", async (encoding) => {
      const { handler, goOn } = told(TOKENS);
      const app = express5();
      app.use(compress(), handler);
      const { url } = await listenHttp2(app);
      const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
        const headers = { "accept-encoding": encoding };
        https.get(url, { agent: false, rejectUnauthorized: false, headers }, resolve).once("error", reject);
      });
      expect(response.headers["content-encoding"]).toBe(encoding);
      await tokensOf(encoding, response, goOn, TOKENS);
    });

    test.each(ENCODINGS)("HTTP/1.0, where the connection's end is the body's, with %s", async (encoding) => {
      const { handler, goOn } = told(TOKENS);
      const { port } = await serve(handler);
      const socket = net.connect(port, "127.0.0.1");
      socket.write(`GET / HTTP/1.0\r\nHost: x\r\nAccept-Encoding: ${encoding}\r\n\r\n`);
      let head = "";
      const body = new PassThrough();
      socket.on("data", (chunk: Buffer) => {
        if (head.includes("\r\n\r\n")) return void body.write(chunk);
        const text = head + chunk.toString("latin1");
        const end = text.indexOf("\r\n\r\n");
        head = text;
        if (end >= 0) body.write(Buffer.from(text.slice(end + 4), "latin1"));
      });
      socket.on("end", () => body.end());
      await tokensOf(encoding, body, goOn, TOKENS);
      expect(head).toMatch(new RegExp(`content-encoding: ${encoding}`, "i"));
      expect(head).not.toMatch(/transfer-encoding/i);
      socket.destroy();
    });
  });

  test.each([
    304, 204,
  ])("a %i that is flushed and ended after a pause has no encoding and no body", async (status) => {
    const { url } = await serve((_req, res) => {
      res.status(status).type("text").set("ETag", '"x"').flushHeaders();
      setImmediate(() => setImmediate(() => res.end()));
    });
    const answer = await ask({ url }, { accept: "gzip" });
    expect([answer.status, answer.encoding, answer.raw.length]).toEqual([status, undefined, 0]);
  });

  test.each([
    "inside",
    "outside",
  ])("HEAD of a body with pauses is answered without one, cache and timeout %s", async (place) => {
    const around = [cache(), timeout({ ms: 10_000, totalMs: 20_000 })];
    const { url } = await serve(
      async (_req, res) => {
        res.type("text").set("Cache-Control", "max-age=60").write(text(3_000));
        await turn();
        await turn();
        res.end("end");
      },
      place === "outside" ? { before: around } : { after: around },
    );
    const head = await ask({ url }, { accept: "gzip", method: "HEAD" });
    const whole = await ask({ url }, { accept: "gzip" });
    const again = await ask({ url }, { accept: "gzip" });
    expect([head.status, head.raw.length, head.headers.vary]).toEqual([200, 0, whole.headers.vary]);
    expect([undefined, whole.encoding]).toContain(head.encoding);
    expect([whole.body, again.body]).toEqual([`${text(3_000)}end`, `${text(3_000)}end`]);
  });
});

describe("each version of Express", () => {
  describe.each(expressVersions)("%s", (_version, express) => {
    it("sends, streams, and answers errors", async () => {
      const app = express();
      app.set("env", "test");
      app.use(compress());
      app.get("/json", (_req, res) => void res.json({ text: text(5_000) }));
      app.get("/parts", (_req, res) => {
        res.type("text").write(text(5_000));
        setImmediate(() => res.end(text(5_000)));
      });
      app.use((_req, _res, next) => next(new Error(text(5_000))));
      const server = await listen(app);
      for (const accept of ENCODINGS) {
        const json = await ask(server, { path: "/json", accept });
        expect([json.status, json.encoding, json.body]).toEqual([
          200,
          accept,
          JSON.stringify({ text: text(5_000) }),
        ]);
        const parts = await ask(server, { path: "/parts", accept });
        expect([parts.status, parts.encoding, parts.body]).toEqual([200, accept, text(5_000) + text(5_000)]);
        const failed = await ask(server, { path: "/fails", accept });
        expect([failed.status, failed.encoding, failed.isWhole]).toEqual([500, accept, true]);
      }
      const fresh = await ask(server, { path: "/json", accept: "gzip" });
      const again = await ask(server, {
        path: "/json",
        accept: "gzip",
        headers: { "If-None-Match": fresh.headers.etag! },
      });
      expect([again.status, again.headers.vary, again.raw.length]).toEqual([304, "Accept-Encoding", 0]);
    });
  });
});
