import zlib from "node:zlib";
import { type CompressOptions, compress } from "../../src/compress/index.js";
import { ConfigError } from "../../src/lib/config/config-error.js";
import { closeServers } from "../support/server.js";
import { ENCODINGS, get, hasZstd, text } from "./support.js";

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
  ["zstd with a window that clients need not have", { levels: { zstd: 20 } }, "levels.zstd", /from 1 to 19/],
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
  const answer = await get((_req, res) => void res.send(text(3_000)), { accept: "zstd, gzip" }, { options });
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
