import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import compression from "compression";
import express, { type RequestHandler } from "express";
import { cache } from "../../src/cache/index.js";
import { compress } from "../../src/compress/index.js";
import { listen } from "../support/server.js";
import { oneIn, SOAK } from "../support/soak.js";
import { type Answer, advance, ask, useClock } from "./support.js";

useClock();

const TEXT = Array.from({ length: 400 }, (_, i) => `line ${i} of a text that is worth encoding\n`).join("");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ranges-"));
  writeFileSync(join(folder, "text.txt"), TEXT);
});
afterAll(() => rmSync(folder, { recursive: true }));

const handlers: Record<string, RequestHandler> = {
  "a file": (req, res, next) =>
    express.static(folder, { maxAge: 60_000, cacheControl: true })(req, res, next),
  "a text": (_req, res) => void res.set("Cache-Control", "max-age=60").type("text").send(TEXT),
  "a text that is encoded by its handler": (_req, res) => {
    res.set({ "Cache-Control": "max-age=60", "Content-Encoding": "gzip", Vary: "Accept-Encoding" });
    res.type("text").send(gzipSync(TEXT));
  },
  "a text that must be validated": (_req, res) =>
    void res.set({ "Cache-Control": "no-cache", ETag: '"1"' }).type("text").send(TEXT),
};

const stacks: Record<string, (own: RequestHandler) => RequestHandler[]> = {
  alone: (own) => [own],
  "outside of compress": (own) => [own, compress({ encodings: ["gzip"] })],
  "inside of compress": (own) => [compress({ encodings: ["gzip"] }), own],
  "outside of the package compression": (own) => [own, compression()],
  "inside of the package compression": (own) => [compression(), own],
};

const asked = [
  { range: "bytes=10-29" },
  { range: "bytes=10-29", "accept-encoding": "gzip" },
  { range: "bytes=10-29", "accept-encoding": "*" },
  { range: "bytes=10-29", "accept-encoding": "identity" },
  { range: "bytes=-5", "accept-encoding": "gzip" },
  { range: "bytes=999999-", "accept-encoding": "gzip" },
];

/** What a client sees: the encoding, and the decoded bytes. */
function seen({ headers, body, status }: Answer): [encoding: string, text: string] {
  const encoding = String(headers["content-encoding"] ?? "identity");
  if (status === 416) return ["identity", ""];
  const isWhole = status === 200;
  return [encoding, isWhole && encoding === "gzip" ? gunzipSync(body).toString() : body.toString("latin1")];
}

async function site(stack: RequestHandler[], handler: RequestHandler): Promise<string> {
  const app = express();
  for (const one of stack) app.use(one);
  app.use(handler);
  return `${(await listen(app)).url}/text.txt`;
}

describe.each(Object.keys(stacks))("cache %s", (order) => {
  test.each(
    oneIn(2, Object.keys(handlers)),
  )("a range of %s has the same encoding as without the cache, whatever is stored", async (what) => {
    const none: RequestHandler = (_req, _res, next) => next();
    const plain = await site(stacks[order]!(none), handlers[what]!);
    // `npm test` asks for two of them in each order, and for all of them in all.
    const at = Object.keys(stacks).indexOf(order);
    for (const headers of asked.filter((_, i) => SOAK || i % 3 === at % 3)) {
      const without = seen(await ask(plain, { headers }));
      const cached = cache();
      const url = await site(stacks[order]!(cached), handlers[what]!);
      for (const warm of [[], [{}], [{ "accept-encoding": "gzip" }]]) {
        for (const one of warm) await ask(url, { headers: one });
        for (const later of [0, 61]) {
          advance(later);
          const [encoding, text] = seen(await ask(url, { headers }));
          expect(encoding).toBe(without[0]);
          if (encoding !== "identity") expect(text).toBe(without[1]);
          else expect([TEXT, TEXT.slice(10, 30), TEXT.slice(-5), ""]).toContain(text);
        }
      }
      // The whole body is still right afterwards.
      const whole = await ask(url, { headers: { "accept-encoding": "gzip" } });
      expect(seen(whole)[1]).toBe(TEXT);
    }
  });
});

test("a range is answered from the store if no encoding can differ", async () => {
  const url = await site([cache()], handlers["a text"]!);
  await ask(url);
  for (const headers of [{}, { "accept-encoding": "gzip" }, { "accept-encoding": "identity" }]) {
    const answer = await ask(url, { headers: { range: "bytes=10-29", ...headers } });
    expect([answer.status, answer.text, answer.did]).toEqual([
      206,
      TEXT.slice(10, 30),
      expect.stringMatching(/^hit/),
    ]);
  }
});

test("after a range that misses, requests for the whole body still wait for one another", async () => {
  let runs = 0;
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const url = await site([cache()], async (req, res) => {
    if (req.headers.range !== undefined) {
      res.status(206).set({ "Content-Range": "bytes 0-1/4", "Cache-Control": "max-age=60" }).send("te");
      return;
    }
    runs++;
    await gate;
    res.set("Cache-Control", "max-age=60").send("text");
  });
  expect((await ask(url, { headers: { range: "bytes=0-1" } })).status).toBe(206);
  const answers = [1, 2, 3].map(() => ask(url));
  await ask(url, { headers: { range: "bytes=0-1" } });
  await ask(url, { headers: { range: "bytes=0-1" } });
  open();
  for (const { text } of await Promise.all(answers)) expect(text).toBe("text");
  expect(runs).toBe(1);
});
