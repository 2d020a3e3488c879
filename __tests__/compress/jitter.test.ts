import { execFile } from "node:child_process";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { withJitter } from "../../src/compress/jitter.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { closeServers } from "../support/server.js";
import { ask, decode, ENCODINGS, get, serve, text } from "./support.js";

afterEach(closeServers);

const BODY = Buffer.from(text(3_000));
type Sync = (bytes: Buffer) => Buffer;
const coders: Record<string, Sync | undefined> = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  zstd: (zlib as unknown as { zstdCompressSync?: Sync }).zstdCompressSync,
};

describe.each(ENCODINGS.filter((one) => one !== "br"))("%s", (encoding) => {
  it("can be made longer by any number of bytes, and decodes to the same body", () => {
    const coded = coders[encoding]!(BODY);
    const always = encoding === "deflate" ? 10 : 0;
    for (let count = 0; count <= 300; count++) {
      const made = withJitter(encoding, coded, count);
      expect(made.length).toBe(coded.length + always + count);
      expect(decode(encoding, made).equals(BODY)).toBe(true);
    }
    expect(decode(encoding, withJitter(encoding, coded, 4_096)).equals(BODY)).toBe(true);
  });
});

it("br too, after the output of a flush before all input", async () => {
  for (let count = 0; count <= 600; count += count < 8 ? 1 : 37) {
    const encoder = zlib.createBrotliCompress();
    const parts: Buffer[] = [];
    encoder.on("data", (bytes: Buffer) => parts.push(bytes));
    encoder.flush(zlib.constants.BROTLI_OPERATION_FLUSH);
    encoder.end(BODY);
    await new Promise((resolve) => encoder.on("end", resolve));
    const coded = Buffer.concat(parts);
    const made = Buffer.concat([withJitter("br", parts[0]!, count), ...parts.slice(1)]);
    expect(made.length).toBe(coded.length + count);
    expect(decode("br", made).equals(BODY)).toBe(true);
  }
});

describe.each(ENCODINGS)("equal answers in %s", (accept) => {
  it.each([
    ["small", 3_000],
    ["large", 60_000],
    ["in parts", -60_000],
  ])("have many lengths (%s)", async (_name, size) => {
    const body = text(Math.abs(size));
    const server = await serve(
      (_req, res) => {
        res.type("text");
        if (size > 0) res.send(body);
        else {
          res.write(body.slice(0, 9_000));
          res.end(body.slice(9_000));
        }
      },
      { options: { jitter: 200 } },
    );
    const lengths = new Set<number>();
    for (let i = 0; i < 40; i++) {
      const answer = await ask(server, { accept });
      expect([answer.encoding, answer.body === body]).toEqual([accept, true]);
      lengths.add(answer.raw.length);
    }
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(200);
    expect(lengths.size).toBeGreaterThan(20);
    for (const step of [2, 3, 4, 5]) {
      const rests = new Set([...lengths].map((length) => length % step));
      expect([step, rests.size]).toEqual([step, step]); // if not, the length could still be read
    }
  });
});

it("is off by default", async () => {
  const lengths = new Set<number>();
  for (let i = 0; i < 5; i++) {
    lengths.add(
      (await get((_req, res) => void res.type("text").send(text(3_000)), { accept: "gzip" })).raw.length,
    );
  }
  expect(lengths.size).toBe(1);
});

const run = promisify(execFile);

it("curl decodes it", async () => {
  const found = await run("curl", ["--version"]).catch(() => undefined);
  if (found === undefined) return;
  const server = await serve((_req, res) => void res.type("text").send(BODY), { options: { jitter: true } });
  for (const accept of ["gzip", "deflate", ...(found.stdout.includes("brotli") ? ["br"] : [])]) {
    const { stdout } = await run("curl", [
      "-s",
      "--compressed",
      "-H",
      `Accept-Encoding: ${accept}`,
      server.url,
    ]);
    expect(stdout === BODY.toString()).toBe(true);
  }
});

describeInBrowser("in a browser", () => {
  it("Chromium decodes it", async () => {
    const server = await serve(
      (req, res) => {
        if (req.path === "/") return void res.type("html").send("<title>t</title>");
        req.headers["accept-encoding"] = String(req.query.coding);
        res.type("text").send(req.query.size === "large" ? text(60_000) : BODY);
      },
      { options: { jitter: true } },
    );
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      await page.goto(server.url);
      for (const coding of ENCODINGS) {
        for (const size of ["small", "large"]) {
          for (let i = 0; i < 6; i++) {
            const got = await page.evaluate(
              `fetch("/x?coding=${coding}&size=${size}&i=${i}").then((answer) => answer.text())`,
            );
            expect([coding, size, got === (size === "large" ? text(60_000) : BODY.toString())]).toEqual([
              coding,
              size,
              true,
            ]);
          }
        }
      }
    });
  }, 60_000);
});
