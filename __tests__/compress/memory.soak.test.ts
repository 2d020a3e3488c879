import http from "node:http";
import { connect } from "node:net";
import { pipeline, Readable } from "node:stream";
import { setTimeout as later } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createGunzip } from "node:zlib";
import { closeServers, until } from "../support/server.js";
import { noise, serve, text } from "./support.js";

afterAll(closeServers);

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** What the process holds, in MiB, without what only waits to be collected. */
function held(): number {
  collect();
  return process.memoryUsage().rss / 2 ** 20;
}

// An encoder of zlib has a quarter of a MiB that the garbage collector does not see, one of Brotli more than one.
it.each([
  [400, "br"],
  [2_000, "gzip"],
] as const)("%d downloads that are broken off leave no memory behind (%s)", async (count, accept) => {
  const limit = 100; // encoders that are kept would take 500
  const piece = Buffer.from(text(30_000));
  let open = 0;
  const server = await serve((_req, res) => {
    open++;
    res.on("close", () => open--);
    const endless = function* () {
      for (;;) yield piece;
    };
    pipeline(Readable.from(endless()), res.type("text"), () => {});
  });
  const breakOff = () =>
    new Promise<void>((resolve) => {
      const socket = connect({ port: server.port, host: "127.0.0.1" });
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: ${accept}\r\n\r\n`);
      socket.once("data", () => socket.destroy());
    });
  const many = async (times: number) => {
    for (let i = 0; i < times; i += 20) await Promise.all(Array.from({ length: 20 }, breakOff));
    await until(() => open === 0);
  };
  await many(count); // the allocator keeps memory that it has had
  const before = held();
  await many(count);
  // An encoder whose last piece is still on its thread is freed after it: on a busy machine that takes a while.
  let kept = held() - before;
  for (let tries = 0; kept >= limit && tries < 100; tries++) {
    await later(100);
    kept = held() - before;
  }
  expect(kept).toBeLessThan(limit);
});

it("a large body is compressed as its client reads it, and not held in memory", async () => {
  const block = Buffer.from(noise(192 * 1024).toString("base64"));
  const count = 400; // 100 MB, or 20
  const limit = { ahead: 16 * 2 ** 20, memory: 100 * 2 ** 20 }; // the sockets between hold some of it
  let sent = 0;
  let received = 0;
  let ahead = 0;
  let memory = 0;
  let before = 0;
  const server = await serve((_req, res) => {
    before = process.memoryUsage().rss;
    const blocks = function* () {
      for (let i = 0; i < count; i++) {
        ahead = Math.max(ahead, sent - received);
        memory = Math.max(memory, process.memoryUsage().rss - before);
        sent += block.length;
        yield block;
      }
    };
    pipeline(
      Readable.from(blocks(), { objectMode: false, highWaterMark: 65_536 }),
      res.type("text"),
      () => {},
    );
  });
  await new Promise<void>((resolve, reject) => {
    http.get(server.url, { agent: false, headers: { "Accept-Encoding": "gzip" } }, (response) => {
      pipeline(response, createGunzip(), (error) => (error ? reject(error) : resolve())).on(
        "data",
        (bytes: Buffer) => {
          received += bytes.length;
        },
      );
    });
  });
  expect(received).toBe(count * block.length);
  expect(ahead).toBeLessThan(limit.ahead);
  expect(memory).toBeLessThan(limit.memory);
});
