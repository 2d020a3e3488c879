import zlib from "node:zlib";
import compression from "compression";
import express, { type RequestHandler, type Response } from "express";
import fc from "fast-check";
import Negotiator from "negotiator";
import { type CompressOptions, compress, isCompressible } from "../../src/compress/index.js";
import { chooser, preferredEncoding, weightsOf } from "../../src/compress/negotiate.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { cpuMs } from "../support/cpu.js";
import { closeServers, listen } from "../support/server.js";
import { casesOf, oneIn } from "../support/soak.js";
import { type Ask, ask, ENCODINGS, get, hasZstd, text } from "./support.js";

describe("negotiation", () => {
  const OFFERED = ["zstd", "br", "gzip", "deflate"] as const;

  const weight = fc.constantFrom(
    "",
    ";q=0",
    ";q=0.0",
    ";q=0.001",
    ";q=0.5",
    "; q=0.8",
    ";Q=1",
    ";q=1.000",
    ";a=b;q=0.3",
  );
  const element = fc
    .tuple(
      fc.constantFrom("zstd", "br", "gzip", "x-gzip", "GZip", "deflate", "identity", "*", "pack200-gzip", ""),
      weight,
    )
    .map(([coding, q]) => (coding === "" ? "" : coding + q));
  const header = fc
    .tuple(fc.array(element, { maxLength: 7 }), fc.constantFrom(",", ", ", " ,\t"))
    .map(([list, comma]) => list.join(comma));

  /** RFC 9110 section 12.5.3, word by word, for well-formed values. */
  function oracle(value: string): string | undefined {
    const listed = value
      .split(",")
      .map((one) => one.trim().toLowerCase())
      .filter((one) => one !== "")
      .map((one) => {
        const [name = "", ...rest] = one.split(";").map((part) => part.trim());
        const q = rest.find((part) => part.startsWith("q="));
        return { name: name === "x-gzip" ? "gzip" : name, q: q === undefined ? 1 : Number(q.slice(2)) };
      });
    const qOf = (name: string): number | undefined => {
      const own = listed.filter((one) => one.name === name);
      return own.length === 0 ? undefined : Math.max(...own.map(({ q }) => q));
    };
    const candidates = OFFERED.map((name, rank) => ({ name, rank, q: qOf(name) ?? qOf("*") ?? 0 }))
      .filter(({ q }) => q > 0 && q >= (qOf("identity") ?? 0))
      .sort((a, b) => b.q - a.q || a.rank - b.rank);
    return candidates[0]?.name;
  }

  it("chooses as the RFC requires", () => {
    fc.assert(
      fc.property(header, (value) => {
        expect(preferredEncoding(value, OFFERED)).toBe(oracle(value));
      }),
      { numRuns: casesOf(2_000) },
    );
  });

  it("never chooses what the negotiator package would not allow, and always something if that does", () => {
    fc.assert(
      fc.property(header, (value) => {
        const simple = value.replace(/x-gzip/gi, "gzip");
        const allowed = new Negotiator({ headers: { "accept-encoding": simple } }).encodings([
          ...OFFERED,
          "identity",
        ]);
        const chosen = preferredEncoding(simple, OFFERED);
        if (chosen !== undefined) expect(allowed).toContain(chosen);
        else if (!/identity/i.test(simple)) expect(allowed.filter((name) => name !== "identity")).toEqual([]);
      }),
      { numRuns: casesOf(1_000) },
    );
  });

  it("accepts any value, and its memory does not change the choice", () => {
    const choose = chooser(OFFERED);
    fc.assert(
      fc.property(
        fc.oneof(header, fc.string(), fc.string({ unit: fc.constantFrom(..."gzip;q=0.1, *\t") })),
        (value) => {
          const expected = value === "" ? undefined : preferredEncoding(value, OFFERED);
          expect(choose(value)).toBe(expected);
          expect(choose(value)).toBe(expected);
        },
      ),
      { numRuns: casesOf(1_000) },
    );
    expect(choose(undefined)).toBeUndefined();
  });

  it.each([
    "banana",
    "",
    "1.1",
    "-1",
    "0.5x",
    "+1",
    "1e-1",
    "0x1",
    "Infinity",
    "١",
  ])("the weight %j is invalid: its element is ignored", (q) => {
    expect([...weightsOf(`gzip;q=${q}, br;q=0.5`)]).toEqual([["br", 0.5]]);
  });

  it.each([
    `${"gzip;q=0,".repeat(220)}br`,
    `${" ".repeat(2_000)}br`,
    `${";".repeat(2_000)},br`,
    `br;${"q".repeat(2_000)}`,
  ])("takes less than a millisecond for %#", (value) => {
    const started = cpuMs();
    for (let i = 0; i < 100; i++) preferredEncoding(value, OFFERED);
    expect(preferredEncoding(value, OFFERED)).toBe("br");
    expect((cpuMs() - started) / 100).toBeLessThan(1);
  });

  it("does not read an over-long value", () => {
    expect(preferredEncoding(`${"a,".repeat(1_100)}gzip`, OFFERED)).toBeUndefined();
  });
});

describe("beside the peer", () => {
  afterEach(closeServers);

  const TEXT = text(5_000);

  /** What both must do in the same way: bodies, encodings and headers, except framing. */
  const ANSWERS: Record<string, (res: Response) => void> = {
    "a page": (res) => void res.send(TEXT),
    "a large page": (res) => void res.send(text(300_000)),
    "a short page": (res) => void res.send("short"),
    JSON: (res) => void res.json({ text: TEXT }),
    "an image": (res) => void res.type("png").send(Buffer.from(TEXT)),
    svg: (res) => void res.type("svg").send(TEXT),
    "parts, with a length": (res) => {
      res.type("text").set("Content-Length", "5000");
      res.write(TEXT.slice(0, 100));
      res.end(TEXT.slice(100));
    },
    "parts, without": (res) => {
      res.type("text").write(TEXT);
      setImmediate(() => res.end(TEXT));
    },
    "no-transform": (res) => void res.set("Cache-Control", "no-transform").send(TEXT),

    "a Vary of its own": (res) => void res.set("Vary", "Cookie").send(TEXT),
    "an error": (res) => void res.status(500).send(TEXT),
    redirect: (res) => void res.redirect("/elsewhere"),
    nothing: (res) => void res.status(204).end(),
    "a type that is none": (res) => void res.set("Content-Type", "nonsense").end(TEXT),
  };

  const ASKS: Record<string, Ask> = {
    gzip: { accept: "gzip" },
    "gzip, deflate, br": { accept: "gzip, deflate, br" },
    deflate: { accept: "deflate" },
    "br;q=0.5, gzip;q=0.2": { accept: "br;q=0.5, gzip;q=0.2" },
    "gzip;q=0": { accept: "gzip;q=0" },
    identity: { accept: "identity" },
    nothing: {},
    "*": { accept: "*" },
  };

  const cases = Object.keys(ANSWERS).flatMap((answer) =>
    Object.keys(ASKS).map((asked) => [answer, asked] as const),
  );

  it.each(oneIn(3, cases))("%s, for %s: the same as of compression", async (answer, asked) => {
    const appOf = async (middleware: RequestHandler) => {
      const app = express();
      app.use(middleware);
      app.get("/", (_req, res) => ANSWERS[answer]!(res));
      return listen(app);
    };
    const encodings = ["br", "gzip", "deflate"] as const;
    const ours = await ask(await appOf(compress({ encodings })), ASKS[asked]);
    const theirs = await ask(await appOf(compression()), ASKS[asked]);
    const essence = ({ status, headers, encoding, body }: typeof ours) => {
      const {
        date,
        connection,
        "transfer-encoding": _te,
        "content-length": _length,
        etag,
        ...rest
      } = headers;
      return { status, encoding, body, rest };
    };

    expect(essence(ours)).toEqual(essence(theirs));
  });
});

describe("types", () => {
  it.each([
    "text/plain",
    "text/html; charset=utf-8",
    "TEXT/CSS",
    "text/x-anything",
    "application/json",
    "application/ld+json ; profile=a",
    "application/problem+json",
    "application/javascript",
    "application/manifest+json",
    "application/rss+xml",
    "application/soap+xml",
    "application/xhtml+xml",
    "application/wasm",
    "application/x-javascript",
    "application/x-www-form-urlencoded",
    "application/xml",
    "application/vnd.api+json",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/svg+xml",
  ])("%s is compressible, for the compression package too", (type) => {
    expect(isCompressible(type)).toBe(true);
    expect(peer(type)).toBe(true);
  });

  it.each([
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/avif",
    "image/gif",
    "video/mp4",
    "audio/mpeg",
    "application/zip",
    "application/gzip",
    "application/pdf",
    "application/grpc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "font/woff",
    "font/woff2",
    "multipart/form-data; boundary=x",
    "multipart/x-mixed-replace",
    "nonsense",
    "",
  ])("%j is not compressible, for the compression package neither", (type) => {
    expect(isCompressible(type)).toBe(false);
    expect(peer(type)).toBe(false);
  });

  it.each([
    "text/event-stream",
    "text/event-stream;charset=utf-8",
    "application/octet-stream",
    undefined,
  ])("%j is not compressible", (type) => {
    expect(isCompressible(type)).toBe(false);
  });

  function peer(type: string): boolean {
    return compression.filter({} as never, { getHeader: () => type } as never);
  }
});

describe("options", () => {
  afterEach(closeServers);

  it.each<[string, unknown, string, RegExp]>([
    ["a threshold in words", { threshold: "1kb" }, "threshold", /a whole number of bytes from 0/],
    ["a negative threshold", { threshold: -1 }, "threshold", /from 0/],
    ["half a byte", { threshold: 0.5 }, "threshold", /whole number/],
    ["no codings", { encodings: [] }, "encodings", /leave the middleware out/],
    ["an unknown coding", { encodings: ["gzp"] }, "encodings", /"gzp".*Did you mean "gzip"\?/],
    [
      "identity as a coding",
      { encodings: ["br", "identity"] },
      "encodings",
      /They are zstd, br, gzip, deflate/,
    ],
    ["a coding twice", { encodings: ["br", "gzip", "br"] }, "encodings", /"br" twice/],
    ["codings that are no list", { encodings: 7 }, "encodings", /list of strings/],
    ["a filter that is none", { filter: true }, "filter", /a function \(req, res\)/],
    ["a level for all", { levels: 6 }, "levels", /an object of levels/],
    ["an unknown level", { levels: { brotli: 4 } }, "levels.brotli", /Did you mean "br"\?|The options are/],
    ["br above 11", { levels: { br: 12 } }, "levels.br", /from 0 to 11/],
    ["gzip 0, which would only store", { levels: { gzip: 0 } }, "levels.gzip", /from 1 to 9/],
    ["deflate -1", { levels: { deflate: -1 } }, "levels.deflate", /from 1 to 9/],
    [
      "zstd with a window that clients need not have",
      { levels: { zstd: 20 } },
      "levels.zstd",
      /from 1 to 19/,
    ],
    ["a level in words", { levels: { gzip: "6" } }, "levels.gzip", /whole number/],
    ["no jitter at all", { jitter: 0 }, "jitter", /from 1 to 4096/],
    ["much jitter", { jitter: 5_000 }, "jitter", /from 1 to 4096/],
    ["jitter in words", { jitter: "yes" }, "jitter", /true, false, or/],
    ["an unknown option", { treshold: 1 }, "treshold", /Did you mean "threshold"\?/],
    ["the peer's level", { level: 6 }, "level", /write levels: \{ gzip: 6 \}/],
    ["the peer's brotli", { brotli: {} }, "brotli", /write levels: \{ br: 4 \}/],
    ["the peer's memLevel", { memLevel: 8 }, "memLevel", /follows the body's size/],
    ["the peer's enforceEncoding", { enforceEncoding: "gzip" }, "enforceEncoding", /names no encoding/],
    ["no bag", 6, "options", /an object of options/],
  ])("%s is refused", (_name, options, option, reason) => {
    const error = caught(options);
    expect(error.problems.map((problem) => problem.option)).toEqual([option]);
    expect(error.message).toMatch(reason);
    expect(error.message).toContain("compress()");
  });

  it("all problems come at once", () => {
    const options = { threshold: -1, encodings: ["x"], levels: { br: 99, gzip: 0 }, jitter: -1, filtr: 1 };
    expect(
      caught(options)
        .problems.map(({ option }) => option)
        .sort(),
    ).toEqual(["encodings", "filtr", "jitter", "levels.br", "levels.gzip", "threshold"].sort());
  });

  it.each<[string, CompressOptions | undefined]>([
    ["nothing", undefined],
    ["an empty bag", {}],
    ["a bag without a prototype", Object.create(null)],
    [
      "explicit undefined",
      { threshold: undefined, encodings: undefined, filter: undefined, levels: undefined, jitter: undefined },
    ],
    ["undefined levels", { levels: { br: undefined } }],
    [
      "all of it",
      {
        threshold: 0,
        encodings: ["gzip"],
        filter: () => true,
        levels: { zstd: 19, br: 11, gzip: 9, deflate: 1 },
        jitter: 64,
      },
    ],
    ["zstd, whether this Node has it or not", { encodings: ["zstd"] }],
  ])("%s is taken", (_name, options) => {
    expect(compress(options)).toHaveProperty("name", "compress");
  });

  it("a change to the options later changes nothing", async () => {
    const encodings = ["gzip" as const];
    const options = { encodings, threshold: 10 };
    const handler = compress(options);
    encodings.pop();
    options.threshold = 1e6;
    const answer = await get(
      (_req, res) => void res.send("a".repeat(100)),
      { accept: "gzip" },
      { before: [handler], options: { threshold: 1e6 } },
    );
    expect(answer.encoding).toBeUndefined(); // that of the inner one
    const alone = await get(
      (_req, res) => void res.send("a".repeat(100)),
      { accept: "gzip" },
      { after: [handler] },
    );
    expect(alone.encoding).toBe("gzip");
  });

  it("a level is used", async () => {
    const body = text(60_000);
    for (const encoding of ENCODINGS) {
      const sizes = [];
      for (const level of [1, 9]) {
        const options = { levels: { [encoding]: level } };
        const answer = await get(
          (_req, res) => void res.type("text").send(body),
          { accept: encoding },
          { options },
        );
        expect(answer.body).toBe(body);
        sizes.push(answer.raw.length);
      }
      expect(sizes[1]).toBeLessThan(sizes[0]!);
    }
  });

  it("a slow level does not block the event loop, not even for a small body", async () => {
    const sync = jest.spyOn(zlib, "brotliCompressSync");
    const options = { levels: { br: 11 } };
    const answer = await get((_req, res) => void res.send(text(3_000)), { accept: "br" }, { options });
    expect([answer.encoding, answer.headers["content-length"], answer.body]).toEqual([
      "br",
      String(answer.raw.length),
      text(3_000),
    ]);
    expect(sync).not.toHaveBeenCalled();
    sync.mockRestore();
  });

  it(`zstd is ${hasZstd ? "on offer" : "left out"} on this Node`, async () => {
    const options = { encodings: ["zstd", "gzip"] } as const;
    const answer = await get(
      (_req, res) => void res.send(text(3_000)),
      { accept: "zstd, gzip" },
      { options },
    );
    expect(answer.encoding).toBe(hasZstd ? "zstd" : "gzip");
    const only = await get(
      (_req, res) => void res.send(text(3_000)),
      { accept: "zstd" },
      { options: { encodings: ["zstd"] } },
    );
    expect([only.encoding, only.body]).toEqual([hasZstd ? "zstd" : undefined, text(3_000)]);
  });

  function caught(options: unknown): ConfigError {
    try {
      compress(options as CompressOptions);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return error as ConfigError;
    }
    throw new Error("it was taken");
  }
});
