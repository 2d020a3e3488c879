import { randomBytes } from "node:crypto";
import http from "node:http";
import net from "node:net";
import { PassThrough, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";
import type { RequestHandler } from "express";
import { isCompressible } from "../../src/compress/index.js";
import { recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, raw, until } from "../support/server.js";
import { SOAK } from "../support/soak.js";
import { ask, ENCODINGS, get, serve, text } from "./support.js";

afterEach(closeServers);
afterEach(() => void jest.restoreAllMocks());

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const TEXT = text(5_000);
/** Of 200 kB each, that do not get smaller than 150 kB: more than the sockets between hold, in all. */
const PIECES = 100;
const DECODERS: Record<string, () => Transform> = {
  gzip: zlib.createGunzip,
  deflate: zlib.createInflate,
  br: zlib.createBrotliDecompress,
  zstd: () => (zlib as unknown as { createZstdDecompress(): Transform }).createZstdDecompress(),
};

/** A response as it comes, decoded on the way. */
function open(url: string, accept: string): Promise<{ response: http.IncomingMessage; text: () => string }> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, headers: { "Accept-Encoding": accept } }, (response) => {
      let seen = "";
      const { "content-encoding": coding } = response.headers;
      const plain = coding === undefined ? response : response.pipe(DECODERS[coding]!());
      plain.on("data", (bytes: Buffer) => {
        seen += bytes.toString();
      });
      plain.on("error", () => {});
      resolve({ response, text: () => seen });
    });
    request.on("error", reject);
  });
}

/** What all of zlib's streams inherit from. */
const base = (() => {
  let found: object = zlib.Gzip.prototype;
  while (!Object.hasOwn(found, "_transform")) found = Object.getPrototypeOf(found) as object;
  return found as Transform;
})();

describe.each(ENCODINGS)("with %s", (accept) => {
  it("res.flush sends what was written, and res.flushHeaders the head", async () => {
    let step = () => {};
    const server = await serve((_req, res) => {
      const steps = [
        () => void res.type("text").flushHeaders(),
        () => {
          res.write("first ");
          (res as never as { flush(): void }).flush();
        },
        () => {
          res.write("second ");
          (res as never as { flush(): void }).flush();
          (res as never as { flush(): void }).flush();
        },
        () => void res.end("third"),
      ];
      step = () => steps.shift()!();
      step();
    });
    const { response, text } = await open(server.url, accept);
    expect([response.headers["content-encoding"], response.headers["content-length"]]).toEqual([
      accept,
      undefined,
    ]);
    const started = performance.now();
    step();
    await until(() => text() === "first ");
    step();
    await until(() => text() === "first second ");
    step();
    await until(() => text() === "first second third");
    expect(performance.now() - started).toBeLessThan(500);
  });

  it("an event stream, if the filter returns true, is sent event by event", async () => {
    let send: (event: string) => void = () => {};
    const server = await serve(
      (_req, res) => {
        res.type("text/event-stream").flushHeaders();
        send = (event) => void res.write(`data: ${event}\n\n`);
      },
      { options: { filter: () => true } },
    );
    const { response, text } = await open(server.url, accept);
    expect(response.headers["content-encoding"]).toBe(accept);
    let quickestMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      send(String(i));
      await until(() => text().endsWith(`data: ${i}\n\n`));
      quickestMs = Math.min(quickestMs, performance.now() - started);
    }
    expect(quickestMs).toBeLessThan(50);
    response.destroy();
  });

  if (SOAK || accept === "gzip")
    it("a slow client slows the source, with one 'drain' for each wait", async () => {
      const piece = () => randomBytes(150_000).toString("base64");
      const counts = { waits: 0, drains: 0, once: 0, off: 0 };
      let written = 0;
      const server = await serve((_req, res) => {
        res.type("text");
        const off = () => counts.off++;
        res.on("drain", off).off("drain", off);
        res.addListener("drain", () => counts.drains++);
        const more = () => {
          while (written < PIECES) {
            const isFull = !res.write(piece());
            written++;
            expect(res.writableNeedDrain).toBe(isFull);
            if (isFull) {
              counts.waits++;
              res.once("drain", () => {
                counts.once++;
                more();
              });
              return;
            }
          }
          res.end();
        };
        more();
      });
      const socket = net.connect({ port: server.port, host: "127.0.0.1" });
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: ${accept}\r\nConnection: close\r\n\r\n`);
      socket.pause();
      let before = -1;
      while (before !== written || written === 0) {
        before = written;
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
      expect(written).toBeLessThan(PIECES); // the client reads nothing
      let received = 0;
      socket.on("data", (bytes) => {
        received += bytes.length;
      });
      socket.resume();
      await new Promise((resolve) => socket.on("end", resolve));
      expect(received).toBeGreaterThan(PIECES * 150_000);
      expect(counts).toEqual({ ...counts, off: 0, drains: counts.waits, once: counts.waits });
      expect(counts.waits).toBeGreaterThan(5);
    });

  it("a client that leaves destroys the source, and frees the encoder", async () => {
    const destroyed = jest.spyOn(base, "_destroy");
    const source = new PassThrough();
    const failures: unknown[] = [];
    const server = await serve((_req, res) => {
      pipeline(source, res.type("text")).catch((error: unknown) =>
        failures.push((error as { code: string }).code),
      );
    });
    source.write(text(200_000));
    const { response } = await open(server.url, accept);
    response.destroy();
    await until(() => failures.length > 0);
    expect([failures, source.destroyed]).toEqual([["ERR_STREAM_PREMATURE_CLOSE"], true]);
    const isEncoder = (one: unknown) =>
      /^(Gzip|Deflate|BrotliCompress|ZstdCompress)$/.test((one as object).constructor.name);
    await until(() => destroyed.mock.contexts.some(isEncoder));
  });
});

describe("callbacks", () => {
  it.each([...ENCODINGS, "identity"])("of write and end are called, in order (%s)", async (accept) => {
    const seen: string[] = [];
    await get(
      (_req, res) => {
        res.type("text");
        res.write("small", (error) => seen.push(`first ${error ?? "ok"}`));
        res.write(TEXT, "utf8", () => seen.push("second"));
        res.write(Buffer.from("third"), () => seen.push("third"));
        res.end("last", () => seen.push("end"));
      },
      { accept },
    );
    expect(seen).toEqual(["first ok", "second", "third", "end"]);
  });

  it.each([10, 5_000, 50_000])("of an end with %d bytes, and of one with none", async (bytes) => {
    const seen: string[] = [];
    const server = await serve((req, res) => {
      res.type("text");
      if (req.path === "/none") {
        res.write(text(bytes));
        expect(res.end(() => seen.push("end"))).toBe(res);
      } else expect(res.end(text(bytes), () => seen.push("end"))).toBe(res);
    });
    for (const path of ["/", "/none"])
      expect((await ask(server, { path, accept: "gzip" })).body).toBe(text(bytes));
    await until(() => seen.length === 2);
  });

  it("a loop that waits for each of them comes to its end", async () => {
    const answer = await get(
      async (_req, res) => {
        res.type("text");
        for (let i = 0; i < 100; i++) await new Promise((resolve) => res.write(TEXT.slice(0, 100), resolve));
        res.end();
      },
      { accept: "gzip" },
    );
    expect(answer.body).toBe(TEXT.slice(0, 100).repeat(100));
  });

  it("are called when the app may use its buffer again", async () => {
    const buffer = Buffer.alloc(300);
    const answer = await get(
      async (_req, res) => {
        res.type("text");
        for (const letter of "abcdefgh") {
          buffer.fill(letter);
          await new Promise((resolve) => res.write(buffer, resolve));
        }
        res.end();
      },
      { accept: "gzip" },
    );
    expect(answer.body).toBe([..."abcdefgh"].map((letter) => letter.repeat(300)).join(""));
  });

  it("of writes are called too if the client leaves", async () => {
    let called = 0;
    let count = 0;
    const server = await serve((_req, res) => {
      res.type("text");
      for (; count < 50; count++) res.write(text(20_000), () => called++);
    });
    const { response } = await open(server.url, "br");
    response.destroy();
    await until(() => called === count);
  });
});

describe("as without it", () => {
  const behaviours: RequestHandler[] = [
    (_req, res) => {
      res.type("text").send(text(100_000));
      res.on("error", () => {});
      expect(res.headersSent && res.writableEnded).toBe(true);
      expect(() => res.set("X-Late", "1")).toThrow(/after they are sent/);
      expect(() => res.status(500).json({ a: 1 })).toThrow(/after they are sent/);
      expect(res.end()).toBe(res);
    },
    (_req, res) => {
      res.type("text").write("a");
      expect(res.headersSent).toBe(true);
      expect(res.writableEnded).toBe(false);
      expect(() => res.removeHeader("Content-Type")).toThrow(/after they are sent/);
      res.end(text(100_000).slice(1));
    },
  ];
  it.each(
    behaviours.map((handler, i) => [i, handler] as const),
  )("late calls are refused (%d)", async (_i, handler) => {
    const answer = await get(handler, { accept: "gzip" });
    expect([answer.status, answer.encoding, answer.body.length]).toEqual([200, "gzip", 100_000]);
    expect(answer.headers["x-late"]).toBeUndefined();
  });

  it("a head that Node refuses can be corrected, and is for another body", async () => {
    for (const bytes of [5_000, 100_000]) {
      const answer = await get(
        (_req, res) => {
          res.statusMessage = "a\nb";
          expect(() => res.type("text").send(text(bytes))).toThrow(/Invalid character/);
          expect(res.headersSent).toBe(false);
          res.statusMessage = "Mended";
          res.status(500).json({ error: true });
        },
        { accept: "gzip" },
      );
      expect([answer.status, answer.encoding, answer.body]).toEqual([500, undefined, '{"error":true}']);
    }
  });
});

describe("an incomplete body is visible to the client", () => {
  const failing: [string, RequestHandler][] = [
    [
      "the handler throws after some of it",
      (_req, res) => {
        res.type("text").write(TEXT);
        throw new Error("half-way");
      },
    ],
    [
      "the handler throws after less than the threshold",
      (_req, res) => {
        res.type("text").write("little");
        throw new Error("half-way");
      },
    ],
    [
      "the handler fails later",
      async (_req, res) => {
        res.type("text").write(TEXT);
        await turn();
        throw new Error("half-way");
      },
    ],
    [
      "it ends before its Content-Length",
      (_req, res) => {
        res.type("text").set("Content-Length", "50000").write(text(30_000));
        res.end();
      },
    ],
  ];
  it.each(failing)("%s", async (_name, handler) => {
    const logger = memoryLogger();
    const server = await serve((req, res, next) => recover.wrap(handler, { logger })(req, res, next), {});
    jest.spyOn(process.stderr, "write").mockReturnValue(true);
    const { text, end } = await raw(
      server.port,
      "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
    );
    expect([end, text.includes("\r\n0\r\n\r\n")]).toEqual(["reset", false]);
  });
});

describe("an encoder that fails", () => {
  const breakEncoder = (after: number) => {
    let writes = 0;
    const { _transform } = base;
    jest.spyOn(base, "_transform").mockImplementation(function (this: Transform, chunk, encoding, done) {
      if (writes++ >= after) done(new Error("zlib is broken"));
      else _transform.call(this, chunk, encoding, done);
    });
  };

  it("in mid-stream truncates the response, is logged once, and nothing else happens", async () => {
    const stderr = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    breakEncoder(1);
    const server = await serve(async (_req, res) => {
      res.type("text");
      for (let i = 0; i < 5; i++) {
        res.write(text(20_000));
        await turn();
      }
      res.end();
    });
    const failure = await ask(server, { accept: "gzip" }).catch((error: unknown) => error);
    const { code, isWhole } = failure as { code?: string; isWhole?: boolean };
    expect(code === "ECONNRESET" || isWhole === false).toBe(true);
    expect(stderr.mock.calls.filter(([line]) => String(line).includes("zlib is broken"))).toHaveLength(1);
    jest.restoreAllMocks();
    expect((await ask(server, { accept: "br" })).body.length).toBe(100_000);
  });

  it("before the head sends the body as it is", async () => {
    const stderr = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    breakEncoder(0);
    const answer = await get((_req, res) => void res.type("text").set("ETag", '"x"').send(text(50_000)), {
      accept: "gzip",
    });
    expect([answer.status, answer.encoding, answer.headers["content-length"], answer.headers.etag]).toEqual([
      200,
      undefined,
      "50000",
      '"x"',
    ]);
    expect(answer.body).toBe(text(50_000));
    expect(stderr.mock.calls.filter(([line]) => String(line).includes("zlib is broken"))).toHaveLength(1);
  });

  it("synchronously sends the body as it is", async () => {
    const stderr = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    jest.spyOn(zlib, "gzipSync").mockImplementation(() => {
      throw new Error("zlib is broken");
    });
    const answer = await get((_req, res) => void res.type("text").send(TEXT), { accept: "gzip" });
    expect([answer.encoding, answer.body]).toEqual([undefined, TEXT]);
    expect(stderr.mock.calls.filter(([line]) => String(line).includes("zlib is broken"))).toHaveLength(1);
  });
});

it("many large answers at once leave the event loop free", async () => {
  const { monitorEventLoopDelay } = await import("node:perf_hooks");
  const body = Buffer.from(text(1_000_000));
  const onTheSpot = jest.spyOn(zlib, "gzipSync");
  const server = await serve((_req, res) => void res.type("text").send(body));
  await ask(server, { accept: "br" });
  const count = SOAK ? 100 : 50;
  /** How long the loop was held up (99 %) while so many answers were compressed. */
  const delayOf = async () => {
    const delay = monitorEventLoopDelay({ resolution: 2 });
    delay.enable();
    const agent = new http.Agent({ maxSockets: count });
    let whole = 0;
    const one = () =>
      new Promise<void>((resolve, reject) => {
        http
          .get(server.url, { agent, headers: { "Accept-Encoding": "gzip" } }, (response) => {
            response.resume();
            response.on("end", () => {
              whole++;
              resolve();
            });
          })
          .on("error", reject);
      });
    await Promise.all(Array.from({ length: count }, one));
    delay.disable();
    agent.destroy();
    expect(whole).toBe(count);
    return delay.percentile(99) / 1e6;
  };
  let delayMs = await delayOf();
  // On a busy machine another process may have held it up.
  for (let i = 0; i < 3 && delayMs >= 250; i++) delayMs = await delayOf();
  expect(delayMs).toBeLessThan(250);
  expect(onTheSpot).not.toHaveBeenCalled();
});

it("a filter can call isCompressible", async () => {
  const answer = await get(
    (_req, res) => void res.type("text").send(TEXT),
    { accept: "gzip" },
    {
      options: { filter: (_req, res) => isCompressible(res.get("Content-Type")) },
    },
  );
  expect(answer.encoding).toBe("gzip");
});
