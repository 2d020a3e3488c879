import type { ServerResponse } from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { RequestHandler } from "express";
import { type TimeoutOptions, timeout } from "../../src/timeout/index.js";
import { until } from "../support/server.js";
import { MS, sleep, watchProcess, watchStderr } from "./support.js";

watchStderr();
watchProcess();

type Handler = (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse) => unknown;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function serve(handler: Handler, options: Partial<TimeoutOptions> = {}) {
  const limit = timeout({ ms: MS, ...options }) as RequestHandler;
  const server = http2.createServer((req, res) => {
    res.setHeader("x-outer", ["1", "2"]);
    if (req.url === "/fine") res.end("fine");
    else limit(req as never, res as never, () => void handler(req, res));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const goaways: unknown[] = [];
  session.on("goaway", (code) => goaways.push(code));
  open.push(async () => {
    session.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const ask = (path: string, body?: string) =>
    new Promise<Record<string, unknown>>((resolve) => {
      const stream = session.request(
        { ":path": path, ":method": body === undefined ? "GET" : "POST" },
        { endStream: body === undefined },
      );
      if (body !== undefined) stream.write(body); // and never ended
      const seen: Record<string, unknown> = { text: "" };
      stream.on("response", (headers) => Object.assign(seen, headers));
      stream.on("data", (chunk) => {
        seen.text += String(chunk);
      });
      stream.on("error", () => {});
      stream.on("end", () => {
        if (body !== undefined) stream.end();
      });
      stream.on("close", () => resolve({ ...seen, rst: stream.rstCode }));
    });
  return { ask, goaways, session };
}

it.each<[string, string | undefined]>([
  ["a request", undefined],
  ["a stalled upload", "abc"],
])("%s is answered, and its session stays open", async (_name, body) => {
  const { ask, goaways } = await serve((_req, res) => {
    res.setHeader("x-inner", "1");
    res.statusCode = 201;
  });
  const [first, fine] = await Promise.all([ask("/", body), ask("/fine")]);
  expect(first).toMatchObject({ ":status": 503, "x-outer": "1, 2", "cache-control": "no-store", rst: 0 });
  expect(first).not.toHaveProperty("x-inner");
  expect(first.text).toMatch(/did not answer in time/);
  expect(fine).toMatchObject({ ":status": 200, text: "fine" });
  expect(await ask("/fine")).toMatchObject({ ":status": 200, text: "fine" });
  expect(goaways).toEqual([]);
});

const late: [string, Handler][] = [
  ["setHeader", (_req, res) => res.setHeader("x-late", "1")],
  ["removeHeader", (_req, res) => res.removeHeader("x-outer")],
  ["appendHeader", (_req, res) => res.appendHeader("x-late", "1")],
  ["writeHead", (_req, res) => res.writeHead(200, { "x-late": "1" }).end("late")],
  ["write", (_req, res) => expect(res.write("late")).toBe(true)],
  ["end", (_req, res) => res.end("late")],
  ["flushHeaders", (_req, res) => (res as unknown as ServerResponse).flushHeaders()],
  ["addTrailers", (_req, res) => res.addTrailers({ "x-late": "1" })],
  ["writeContinue", (_req, res) => res.writeContinue()],
  ["writeEarlyHints", (_req, res) => res.writeEarlyHints({ link: "</a.css>; rel=preload" })],
  ["statusCode", (_req, res) => (res.statusCode = 200)],
  ["destroy", (_req, res) => res.destroy()],
];

it.each(late)("a late %s does no harm", async (_name, operation) => {
  let done = false;
  const { ask, goaways } = await serve(async (req, res) => {
    await until(() => res.headersSent);
    operation(req, res);
    await sleep(5);
    operation(req, res);
    done = true;
  });
  const answer = await ask("/");
  expect(answer).toMatchObject({ ":status": 503, rst: 0 });
  expect(answer.text).not.toMatch(/late/);
  await until(() => done);
  expect(await ask("/fine")).toMatchObject({ ":status": 200, text: "fine" });
  expect(goaways).toEqual([]);
});

it.each<[string, Handler, Partial<TimeoutOptions>]>([
  ["idleMs", (_req, res) => res.write("begun"), { idleMs: 20 }],
  ["totalMs", (_req, res) => res.write("begun"), { totalMs: 30 }],
])("%s resets the stream with INTERNAL_ERROR, and no other stream", async (_name, handler, options) => {
  const { ask, goaways } = await serve(handler, options);
  expect(await ask("/")).toMatchObject({ ":status": 200, rst: http2.constants.NGHTTP2_INTERNAL_ERROR });
  expect(await ask("/fine")).toMatchObject({ ":status": 200, text: "fine" });
  expect(goaways).toEqual([]);
});

it("a body that continues is not truncated", async () => {
  const { ask } = await serve(
    async (_req, res) => {
      for (let i = 0; i < 6; i++) {
        res.write(String(i));
        await sleep(10);
      }
      res.end();
    },
    { idleMs: 60 },
  );
  expect(await ask("/")).toMatchObject({ ":status": 200, text: "012345", rst: 0 });
});

it("a large chunk that the client reads slowly is not truncated; one that it does not read is", async () => {
  const { session } = await serve((_req, res) => res.end(Buffer.alloc(3_000_000)), { idleMs: 120 });
  const take = (perPieceMs: number) =>
    new Promise<[number, number]>((resolve) => {
      const stream = session.request({ ":path": "/" });
      let got = 0;
      stream.on("data", (chunk: Buffer) => {
        got += chunk.length;
        stream.pause();
        if (perPieceMs > 0) setTimeout(() => stream.resume(), perPieceMs);
      });
      stream.on("error", () => {});
      stream.on("close", () => resolve([got, stream.rstCode]));
      if (perPieceMs === 0) sleep(400).then(() => stream.resume());
    });
  expect(await take(1)).toEqual([3_000_000, 0]);
  const [got, rst] = await take(0);
  expect(got).toBeLessThan(3_000_000);
  expect(rst).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
});
