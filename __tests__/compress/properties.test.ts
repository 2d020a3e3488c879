import express, { type RequestHandler, type Response } from "express";
import fc from "fast-check";
import { compress } from "../../src/compress/index.js";
import { closeServers, listen, type TestServer, until } from "../support/server.js";
import { ask, ENCODINGS, noise, text } from "./support.js";

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
      { numRuns: 60 },
    );
  }, 60_000);

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
      { numRuns: 25 },
    );
  }, 60_000);
});
