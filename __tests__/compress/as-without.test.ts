import http from "node:http";
import { gunzipSync } from "node:zlib";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import { compress } from "../../src/compress/index.js";
import { recover } from "../../src/recover/index.js";
import { memoryLogger } from "../support/logger.js";
import { closeServers, listen } from "../support/server.js";

// A response has the same result with compress as without.

afterEach(closeServers);

const TEXT = Array.from({ length: 20_000 }, (_, i) => `line ${(i * 7_919) % 20_011}\n`).join("");

const HANDLERS: Record<string, RequestHandler> = {
  "a body in parts, ended while it is corked": (_req, res) => {
    res.type("text").cork();
    res.write(TEXT);
    res.end(); // the chunk of a corked `end` is lost by Node 22 and 24 themselves
  },
  "a small one": (_req, res) => {
    res.type("text").cork();
    res.write("small");
    res.end();
  },
  "a whole body, corked twice": (_req, res) => {
    res.type("text").cork();
    res.cork();
    res.end(TEXT.repeat(40)); // so long that its head is sent before all of it is encoded
  },
  "trailers after a small body": (_req, res) => {
    res.type("text").write("a little");
    res.addTrailers({ "X-Sum": "1" });
    res.end();
  },
  "trailers after a body that gets smaller": (_req, res) => {
    res.type("text").write(TEXT.slice(0, 3_000));
    res.addTrailers({ "X-Sum": "1" });
    res.end();
  },
  "trailers after a large one": (_req, res) => {
    res.type("text").write(TEXT);
    res.addTrailers({ "X-Sum": "1" });
    res.end();
  },
  "a reason phrase that is changed too late": (_req, res) => {
    res.statusMessage = "First";
    res.type("text").write("a");
    res.statusMessage = "Late";
    res.end("b");
  },
};

test.each(Object.entries(HANDLERS))("%s", async (_name, handler) => {
  const plain = await ask(handler);
  expect(plain.text).not.toBe("");
  expect(await ask(compress(), handler)).toEqual(plain);
});

test("a handler that fails after its answer does not change the answer with recover, short or long", async () => {
  for (const size of [3_000, TEXT.length]) {
    const handler: RequestHandler = async (_req, res) => {
      res.type("text").send(TEXT.slice(0, size));
      throw new Error("too late");
    };
    const answer = await ask(compress(), handler, recover({ logger: memoryLogger() }));
    expect(answer).toMatchObject({ status: 200, text: TEXT.slice(0, size) });
  }
});

test("the chunk that ends a corked body arrives", async () => {
  for (const size of [10, TEXT.length]) {
    const handler: RequestHandler = (_req, res) => {
      res.type("text").cork();
      res.write(TEXT.slice(0, size));
      res.end("end");
    };
    const answer = await ask(compress(), handler);
    expect(answer.text).toBe(`${TEXT.slice(0, size)}end`);
  }
});

async function ask(...handlers: (RequestHandler | ErrorRequestHandler)[]) {
  const { url } = await listen(express().use(...handlers));
  const headers = { "accept-encoding": "gzip" };
  const res = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get(url, { headers, agent: false }, resolve).once("error", reject);
  });
  const bytes = Buffer.concat(await res.toArray());
  const text = (res.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes).toString();
  return { status: res.statusCode, phrase: res.statusMessage, text, trailers: res.trailers };
}
