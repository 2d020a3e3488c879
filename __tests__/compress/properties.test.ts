import { execFile } from "node:child_process";
import { promisify } from "node:util";
import zlib from "node:zlib";
import express, { type RequestHandler, type Response } from "express";
import fc from "fast-check";
import { compress } from "../../src/compress/index.js";
import { withJitter } from "../../src/compress/jitter.js";
import { describeInBrowser, withBrowser } from "../support/browser.js";
import { closeServers, listen, type TestServer, until } from "../support/server.js";
import { inSoak, oneIn, SOAK } from "../support/soak.js";
import { ask, decode, ENCODINGS, get, noise, serve, text } from "./support.js";

describe("properties", () => {
  type Step =
    | { readonly kind: "write"; readonly bytes: number; readonly random: boolean; readonly asText: boolean }
    | { readonly kind: "flush" | "turn" | "flushHeaders" | "drain" };

  interface Plan {
    readonly steps: readonly Step[];
    readonly last: number;
    readonly length: boolean;
    readonly threshold: number;
    readonly jitter: boolean;
  }

  const WORDS = text(60_000);
  const NOISE = noise(60_000)
    .toString("latin1")
    .replace(/[^\x20-\x7e]/g, "");
  const size = fc.oneof({ weight: 3, arbitrary: fc.nat(300) }, fc.nat(3_000), fc.nat(30_000));
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("write" as const),
        bytes: size,
        random: fc.boolean(),
        asText: fc.boolean(),
      }),
    },
    fc.record({
      kind: fc.constantFrom(
        "flush" as const,
        "turn" as const,
        "turn" as const,
        "flushHeaders" as const,
        "drain" as const,
      ),
    }),
  );
  const plan: fc.Arbitrary<Plan> = fc.record({
    steps: fc.array(step, { maxLength: 12 }),
    last: fc.oneof(fc.constant(0), size),
    length: fc.boolean(),
    threshold: fc.constantFrom(0, 1, 1_024, 5_000),
    jitter: fc.boolean(),
  });

  const chunkOf = (one: { bytes: number; random?: boolean }) =>
    (one.random === true ? NOISE : WORDS).slice(0, one.bytes);

  function bodyOf({ steps, last }: Plan): string {
    return steps.map((one) => (one.kind === "write" ? chunkOf(one) : "")).join("") + chunkOf({ bytes: last });
  }

  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  async function perform(current: Plan, res: Response): Promise<{ writes: number; called: number }> {
    const seen = { writes: 0, called: 0 };
    const call = () => seen.called++;
    const body = bodyOf(current);
    res.type("text");
    if (current.length) res.set("Content-Length", String(body.length));
    let isFull = false;
    for (const one of current.steps) {
      if (one.kind === "turn") await turn();
      else if (one.kind === "flush") (res as never as { flush(): void }).flush();
      else if (one.kind === "flushHeaders") res.flushHeaders();
      else if (one.kind === "write") {
        seen.writes++;
        isFull = !res.write(one.asText ? chunkOf(one) : Buffer.from(chunkOf(one)), call as never);
      } else if (isFull && res.writableNeedDrain && !res.destroyed) {
        await new Promise((resolve) => res.once("drain", resolve).once("close", resolve));
        isFull = false;
      }
    }
    seen.writes++;
    if (current.last === 0) res.end(call);
    else res.end(chunkOf({ bytes: current.last }), call);
    return seen;
  }

  describe.each([...ENCODINGS, "identity"])("with %s", (accept) => {
    let server: TestServer;
    let current: Plan;
    let seen: { writes: number; called: number } | undefined;
    let failure: unknown;
    const compressors = new Map<string, RequestHandler>();

    beforeAll(async () => {
      const app = express();
      app.use((req, res, next) => {
        const { threshold, jitter } = current;
        const key = `${threshold} ${jitter}`;
        const made = compressors.get(key) ?? compress({ threshold, jitter });
        compressors.set(key, made);
        made(req, res, next);
      });
      app.use((_req, res) => {
        seen = undefined;
        perform(current, res).then(
          (result) => {
            seen = result;
          },
          (error) => {
            failure = error;
          },
        );
      });
      server = await listen(app);
    });
    afterAll(closeServers);

    it("the decoded body is what was written, in every way of writing", async () => {
      await fc.assert(
        fc.asyncProperty(plan, async (next) => {
          current = next;
          failure = undefined;
          const body = bodyOf(next);
          const answer = await ask(server, { accept });
          expect(failure).toBeUndefined();
          expect([answer.status, answer.isWhole, answer.body === body]).toEqual([200, true, true]);
          expect(answer.headers.vary).toBe("Accept-Encoding");
          if (answer.headers["content-length"] !== undefined) {
            expect(answer.headers["content-length"]).toBe(String(answer.raw.length));
          }
          if (
            next.steps.every(({ kind }) => kind !== "write") &&
            next.steps.every(({ kind }) => kind !== "flushHeaders")
          ) {
            expect(answer.raw.length).toBeLessThanOrEqual(body.length);
          }
          await until(() => seen !== undefined && seen.called === seen.writes);
        }),
        { numRuns: SOAK ? 300 : 15 },
      );
    });

    it("a client that leaves at any point leaves nothing behind", async () => {
      await fc.assert(
        fc.asyncProperty(plan, fc.nat(4), async (next, turns) => {
          current = next;
          failure = undefined;
          seen = undefined;
          const { connect } = await import("node:net");
          const socket = connect({ port: server.port, host: "127.0.0.1" });
          socket.on("error", () => {});
          socket.write(`GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: ${accept}\r\n\r\n`);
          for (let i = 0; i < turns; i++) await turn();
          socket.destroy();
          const after = await ask(server, { accept }); // another one is answered
          expect(after.body === bodyOf(next)).toBe(true);
          expect(failure).toBeUndefined();
        }),
        { numRuns: SOAK ? 100 : 5 },
      );
    });
  });
});

describe("jitter", () => {
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
      for (let count = 0; count <= 300; count += SOAK || count < 30 ? 1 : 9) {
        const made = withJitter(encoding, coded, count);
        expect(made.length).toBe(coded.length + always + count);
        expect(decode(encoding, made).equals(BODY)).toBe(true);
      }
      expect(decode(encoding, withJitter(encoding, coded, 4_096)).equals(BODY)).toBe(true);
    });
  });

  it("br too, after the output of a flush before all input", async () => {
    for (let count = 0; count <= 600; count += count < 8 ? 1 : SOAK ? 37 : 148) {
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
    const sizes: [string, number][] = [
      ["small", 3_000],
      ["large", 60_000],
      ["in parts", -60_000],
    ];
    it.each(accept === "gzip" ? sizes : oneIn(3, sizes))("have many lengths (%s)", async (_name, size) => {
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
    const server = await serve((_req, res) => void res.type("text").send(BODY), {
      options: { jitter: true },
    });
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

  inSoak(() => {
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
      });
    });
  });
});
