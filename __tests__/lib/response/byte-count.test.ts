import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import compression from "compression";
import express, { type Response } from "express";
import request from "supertest";
import { onEnd } from "../../../src/lib/response/end-hooks.js";
import { countSentBytes, sentBytes } from "../../../src/lib/response/intercept.js";

const bodies: [string, number, (res: Response) => unknown][] = [
  ["send of a string", 3, (res) => res.send("aé")],
  ["send of a buffer", 2, (res) => res.send(Buffer.from("ab"))],
  ["json", 7, (res) => res.json({ a: 1 })],
  ["end with an encoding", 1, (res) => res.end("é", "latin1")],
  ["end with hex", 2, (res) => res.end("abcd", "hex")],
  ["write and end", 4, (res) => res.write("ab") && res.end("cd")],
  ["write with a callback", 2, (res) => res.write("ab", () => res.end())],
  ["end with only a callback", 0, (res) => res.end(() => {})],
  ["a typed array", 4, (res) => res.write(new Uint8Array(4)) && res.end()],
  ["a pipe", 6, (res) => Readable.from(["abc", "def"]).pipe(res)],
  ["flushHeaders", 1, (res) => res.flushHeaders() ?? res.end("x")],
  ["204", 0, (res) => res.status(204).end("x")],
  ["304", 0, (res) => res.status(304).end("x")],
  ["end twice", 1, (res) => res.end("x") && res.end()],
];

function counting(answer: (res: Response) => unknown) {
  let bytes: number | undefined;
  const app = express();
  app.use((req, res, next) => {
    countSentBytes(res);
    countSentBytes(res); // a second time changes nothing
    onEnd(req, res, (r) => void (bytes = sentBytes(r)), undefined);
    next();
  });
  app.get("/gzip", compression({ threshold: 0 }), (_req, res) => void res.send("x".repeat(10_000)));
  app.use((_req, res) => void answer(res));
  return { app, bytes: () => bytes };
}

it.each(bodies)("%s counts %i", async (_name, expected, answer) => {
  const { app, bytes } = counting(answer);
  await request(app).get("/");
  expect(bytes()).toBe(expected);
});

it("HEAD counts 0", async () => {
  const { app, bytes } = counting((res) => res.send("x"));
  await request(app).head("/");
  expect(bytes()).toBe(0);
});

it("counts what compression further in has made of the body", async () => {
  const { app, bytes } = counting(() => {});
  const res = await request(app).get("/gzip");
  expect(res.headers["content-encoding"]).toBe("gzip");
  expect(bytes()).toBeGreaterThan(10);
  expect(bytes()).toBeLessThan(200);
});

it("leaves return values and callbacks as they are", async () => {
  const seen: unknown[] = [];
  const { app } = counting((res) => {
    seen.push(
      res.write("a"),
      res.write("b", "utf8", () => seen.push("written")),
    );
    seen.push(res.end("c", () => seen.push("ended")) === res);
  });
  await request(app).get("/");
  expect(seen).toEqual([true, true, true, "written", "ended"]);
});

it("counts once on HTTP/2, where end() calls write()", async () => {
  let bytes: number | undefined;
  const server = http2.createServer((req, res) => {
    countSentBytes(res as never);
    onEnd(req as never, res as never, (r) => void (bytes = sentBytes(r)), undefined);
    res.write("ab");
    res.end("cde");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await new Promise((resolve) => session.request().on("close", resolve).resume());
  session.close();
  await new Promise((resolve) => server.close(resolve));
  expect(bytes).toBe(5);
});
