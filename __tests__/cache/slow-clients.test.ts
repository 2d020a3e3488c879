import { once } from "node:events";
import http2 from "node:http2";
import { connect } from "node:net";
import { pipeline, Readable } from "node:stream";
import express, { type Response } from "express";
import { cache, memoryStore } from "../../src/cache/index.js";
import { serve } from "../../src/serve/index.js";
import { certificate } from "../support/certificate.js";
import { closeHttp2, connectHttp2, ask as onHttp2 } from "../support/http2.js";
import { memoryLogger } from "../support/logger.js";
import { listen, until } from "../support/server.js";
import { advance, ask, useClock } from "./support.js";

useClock();
afterEach(closeHttp2);

const MIB = 1024 * 1024;
const PIECE = Buffer.alloc(16 * 1024, "a");

/** Ways to write a body in pieces and to wait for the client. */
const ways: Record<string, (res: Response, pieces: number) => void> = {
  "pipe of a stream": (res, pieces) => void Readable.from(many(pieces)).pipe(res),
  pipeline: (res, pieces) => void pipeline(Readable.from(many(pieces)), res, () => {}),
  "pipeline of an iterable": (res, pieces) => void pipeline(many(pieces), res, () => {}),
  "write and drain": async (res, pieces) => {
    for (const piece of many(pieces)) {
      if (!res.write(piece) && !res.destroyed) await Promise.race([once(res, "drain"), once(res, "close")]);
    }
    res.end();
  },
};

function* many(pieces: number): Generator<Buffer> {
  for (let i = 0; i < pieces; i++) yield PIECE;
}

interface Shop {
  readonly app: express.Express;
  readonly runs: () => number;
  readonly cached: ReturnType<typeof cache>;
}

function shopOf(stream: (res: Response) => void, maxEntryBytes = MIB, cacheControl = "max-age=60"): Shop {
  let runs = 0;
  const app = express();
  const cached = cache({ store: memoryStore({ maxEntryBytes }) });
  app.use(cached);
  app.get("/slow", (_req, res) => void res.write("head")); // never ends
  app.use((_req, res) => {
    runs++;
    res.set("Cache-Control", cacheControl).set("Content-Type", "text/plain");
    stream(res);
  });
  return { app, cached, runs: () => runs };
}

async function serveShop({ app }: Shop) {
  const tls = await certificate();
  return serve(app, { port: 0, host: "127.0.0.1", http2: true, tls, logger: memoryLogger() });
}

/** An HTTP/2 client that never lets the server send a byte of a body. */
async function heldOnHttp2(url: string, path = "/page"): Promise<() => void> {
  const client = http2.connect(url, { rejectUnauthorized: false, settings: { initialWindowSize: 0 } });
  client.on("error", () => {});
  await once(client, "remoteSettings");
  const stream = client.request({ ":path": path });
  stream.on("error", () => {});
  await once(stream, "response");
  return () => client.destroy();
}

/** An HTTP/1 client whose first answer never ends: pipelined answers after it cannot be sent. */
function heldOnHttp1(url: string, path = "/page"): () => void {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  const host = `Host: ${new URL(url).host}`;
  socket.write(`GET /slow HTTP/1.1\r\n${host}\r\n\r\nGET ${path} HTTP/1.1\r\n${host}\r\n\r\n`);
  socket.on("error", () => {});
  return () => socket.destroy();
}

describe.each(Object.keys(ways))("an answer that is written by %s, to a client that does not read", (way) => {
  test("over HTTP/2 is stored: no other client waits, and the handler runs once", async () => {
    const shop = shopOf((res) => ways[way]!(res, 40));
    const served = await serveShop(shop);
    const release = await heldOnHttp2(served.url);
    const client = connectHttp2(served.url);
    for (let i = 0; i < 3; i++) expect((await onHttp2(client, "/page")).body.length).toBe(40 * PIECE.length);
    expect(shop.runs()).toBe(1);
    release();
    client.close();
    await served.close();
  });

  test("over HTTP/1 is stored: no other client waits, and the handler runs once", async () => {
    const shop = shopOf((res) => ways[way]!(res, 40));
    const { url } = await listen(shop.app);
    const release = heldOnHttp1(url);
    await until(() => shop.runs() === 1);
    const { host } = new URL(url);
    const answers = await Promise.all([1, 2, 3].map(() => ask(`${url}/page`, { headers: { host } })));
    for (const { text } of answers) expect(text.length).toBe(40 * PIECE.length);
    expect(shop.runs()).toBe(1);
    release();
  });
});

test("a client that does not read delays no other after an answer has expired and was fetched again", async () => {
  for (const cacheControl of [
    "max-age=1",
    "max-age=1, stale-while-revalidate=60",
    "max-age=1, must-revalidate",
  ]) {
    const shop = shopOf((res) => ways["pipe of a stream"]!(res, 40), MIB, cacheControl);
    const { url } = await listen(shop.app);
    const { host } = new URL(url);
    const releases: (() => void)[] = [];
    for (let round = 1; round <= 3; round++) {
      const runs = shop.runs();
      releases.push(heldOnHttp1(url));
      await until(() => shop.runs() > runs);
      expect((await ask(`${url}/page`, { headers: { host } })).text.length).toBe(40 * PIECE.length);
      advance(5);
    }
    for (const release of releases) release();
  }
});

test("an answer that gets too large to be stored goes at its client's pace, and no request waits for it", async () => {
  let written = 0;
  const shop = shopOf((res) => {
    if (res.req.method === "HEAD") return void res.end();
    const body = Readable.from(many(4_000));
    body.on("data", () => written++);
    body.pipe(res);
  }, 8 * PIECE.length);
  const { url } = await listen(shop.app);
  const release = heldOnHttp1(url);
  await until(() => shop.runs() === 1 && written > 8);
  const before = written;
  const other = await ask(`${url}/other`, { method: "HEAD" });
  expect(other.status).toBe(200);
  expect(written).toBeLessThan(before + 100);
  release();
});

describe("what answers run ahead of their clients", () => {
  const WHOLE = 6 * MIB;

  test("is limited: of many unread answers most go at their clients' pace, and requests stop waiting for them", async () => {
    const written = new Map<string, number>();
    const shop = shopOf((res) => {
      const path = res.req.url;
      const body = Readable.from(many(WHOLE / PIECE.length));
      body.on("data", (piece: Buffer) => written.set(path, (written.get(path) ?? 0) + piece.length));
      body.pipe(res);
    }, 8 * MIB);
    const { url } = await listen(shop.app);
    const releases = Array.from({ length: 8 }, (_, i) => heldOnHttp1(url, `/page/${i}`));
    await until(() => written.size === 8);
    const sum = () => [...written.values()].reduce((all, one) => all + one, 0);
    await until(() => sum() > 15 * MIB);
    expect(sum()).toBeLessThan(18 * MIB);
    // The ninth is blocked at once: the next request fetches by itself, without delay.
    releases.push(heldOnHttp1(url, "/page/9"));
    await until(() => written.has("/page/9"));
    const { host } = new URL(url);
    const answer = await ask(`${url}/page/9`, { headers: { host } });
    expect(answer.text.length).toBe(WHOLE);
    expect((await ask(`${url}/page/9`, { headers: { host } })).did).toMatch(/^hit/);
    for (const release of releases) release();
  });

  test("is released when the clients leave", async () => {
    const shop = shopOf((res) => ways["pipe of a stream"]!(res, WHOLE / PIECE.length), 8 * MIB);
    const { url } = await listen(shop.app);
    const { host } = new URL(url);
    for (let round = 0; round < 8; round++) {
      const release = heldOnHttp1(url, `/page/${round}`);
      await until(() => shop.runs() === round + 1);
      const answer = await ask(`${url}/page/${round}`, { headers: { host } });
      expect([answer.text.length, shop.runs()]).toEqual([WHOLE, round + 1]);
      release();
    }
  });
});

describe("a handler that waits for its client by other means", () => {
  const slow = (res: Response) => {
    let left = 40;
    const next = (): void => {
      if (left-- > 0) res.write(PIECE, next);
      else res.end();
    };
    next();
  };

  test("is waited for during five seconds, and then one other request fetches, once", async () => {
    const now = performance.now.bind(performance);
    let ahead = 0;
    jest.spyOn(performance, "now").mockImplementation(() => now() + ahead);
    const shop = shopOf(slow);
    const { url } = await listen(shop.app);
    const { host } = new URL(url);
    const release = heldOnHttp1(url);
    await until(() => shop.runs() === 1);
    ahead += 5_000;
    const answers = await Promise.all([1, 2, 3].map(() => ask(`${url}/page`, { headers: { host } })));
    for (const { text } of answers) expect(text.length).toBe(40 * PIECE.length);
    expect(shop.runs()).toBe(2);
    expect((await ask(`${url}/page`, { headers: { host } })).did).toMatch(/^hit/);
    release();
  });

  test("a waiting request takes over when the fetching client leaves", async () => {
    const shop = shopOf(slow);
    const { url } = await listen(shop.app);
    const { host } = new URL(url);
    const release = heldOnHttp1(url);
    await until(() => shop.runs() === 1);
    const waiting = Promise.all([1, 2, 3].map(() => ask(`${url}/page`, { headers: { host } })));
    await ask(`${url}/other`, { method: "HEAD" });
    release();
    for (const { text } of await waiting) expect(text.length).toBe(40 * PIECE.length);
    expect(shop.runs()).toBeLessThanOrEqual(3);
  });
});
