import { createWriteStream } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { gzipSync } from "node:zlib";
import busboy from "busboy";
import express, { type RequestHandler } from "express";
import formidable from "formidable";
import { createProxyMiddleware } from "http-proxy-middleware";
import multer from "multer";

/** What a reader has seen of the body. */
export interface Seen {
  bytes: number;
  readonly errors: unknown[];
  /** The handler after it was called. */
  handled: boolean;
}

export interface Reader {
  readonly name: string;
  readonly type: string;
  /** A body of about this many bytes that the reader accepts. */
  body(bytes: number): Buffer;
  readonly headers?: Record<string, string>;
  /** Reads the body; tells the errors, and calls `next` when it was whole. */
  make(seen: Seen): RequestHandler | Promise<RequestHandler>;
}

const BOUNDARY = "----boundary";
const multipart = (bytes: number) =>
  Buffer.from(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\nContent-Type: application/octet-stream\r\n\r\n` +
      `${"x".repeat(bytes)}\r\n--${BOUNDARY}--\r\n`,
  );
const plain = (bytes: number) => Buffer.alloc(bytes, "x");
const MULTIPART = `multipart/form-data; boundary=${BOUNDARY}`;
const OCTETS = "application/octet-stream";

const closing: (() => unknown)[] = [];
/** Ends what the readers have started. */
export const closeReaders = () => Promise.all(closing.splice(0).map((close) => close()));

const file = async () => join(await mkdtemp(join(tmpdir(), "body-limit-")), "body");

export const readers: Reader[] = [
  {
    name: "express.json",
    type: "application/json",
    body: (bytes) => Buffer.from(JSON.stringify({ text: "x".repeat(bytes) })),
    make: () => express.json({ limit: "1gb" }),
  },
  {
    name: "express.json, gzip",
    type: "application/json",
    headers: { "content-encoding": "gzip" },
    body: (bytes) => gzipSync(JSON.stringify({ text: "x".repeat(bytes) }), { level: 0 }),
    make: () => express.json({ limit: "1gb" }),
  },
  { name: "express.raw", type: OCTETS, body: plain, make: () => express.raw({ limit: "1gb" }) },
  {
    name: "express.urlencoded",
    type: "application/x-www-form-urlencoded",
    body: (bytes) => Buffer.from(`a=${"x".repeat(bytes)}`),
    make: () => express.urlencoded({ limit: "1gb", extended: false }),
  },
  { name: "multer, in memory", type: MULTIPART, body: multipart, make: () => multer().any() },
  {
    name: "multer, to files",
    type: MULTIPART,
    body: multipart,
    make: () => multer({ dest: tmpdir() }).any(),
  },
  {
    name: "busboy",
    type: MULTIPART,
    body: multipart,
    make: (seen) => (req, _res, next) => {
      const parser = busboy({ headers: req.headers });
      parser.on("file", (_name, stream) => {
        stream.on("data", (chunk: Buffer) => {
          seen.bytes += chunk.length;
        });
        stream.on("error", () => {});
      });
      parser.on("error", next);
      parser.on("close", () => parser.errored ?? next());
      req.pipe(parser);
    },
  },
  {
    name: "formidable",
    type: MULTIPART,
    body: multipart,
    make: () => (req, _res, next) => {
      formidable({ maxFileSize: 2 ** 30 }).parse(req, (error) => next(error ?? undefined));
    },
  },
  {
    name: "pipe to a file",
    type: OCTETS,
    body: plain,
    make: (seen) => async (req, _res, next) => {
      const target = createWriteStream(await file());
      req.on("data", (chunk: Buffer) => {
        seen.bytes += chunk.length;
      });
      target.on("error", next).on("finish", () => next());
      req.pipe(target);
    },
  },
  {
    name: "pipeline to a file",
    type: OCTETS,
    body: plain,
    make: () => async (req, _res, next) => {
      await pipeline(req, createWriteStream(await file()));
      next();
    },
  },
  {
    name: "for await",
    type: OCTETS,
    body: plain,
    make: (seen) => async (req, _res, next) => {
      for await (const chunk of req) seen.bytes += (chunk as Buffer).length;
      next();
    },
  },
  {
    name: "for await, after a pause",
    type: OCTETS,
    body: plain,
    make: (seen) => async (req, _res, next) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      for await (const chunk of req) seen.bytes += (chunk as Buffer).length;
      next();
    },
  },
  {
    name: "'readable' and read()",
    type: OCTETS,
    body: plain,
    make: (seen) => (req, _res, next) => {
      req.on("readable", () => {
        for (let chunk = req.read(); chunk !== null; chunk = req.read()) seen.bytes += chunk.length;
      });
      req.on("error", next).on("end", () => next());
    },
  },
  {
    name: "a web stream",
    type: OCTETS,
    body: plain,
    make: (seen) => async (req, _res, next) => {
      const { Readable } = await import("node:stream");
      for await (const chunk of Readable.toWeb(req) as AsyncIterable<Uint8Array>) seen.bytes += chunk.length;
      next();
    },
  },
  {
    name: "http-proxy-middleware",
    type: OCTETS,
    body: plain,
    make: async (seen) => {
      const upstream = http.createServer((req, res) => {
        req.on("error", () => {
          upstreamAborts++;
        });
        req.on("data", (chunk: Buffer) => {
          seen.bytes += chunk.length;
        });
        req.on("end", () => res.end("ok"));
      });
      await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
      closing.push(() => {
        upstream.close();
        upstream.closeAllConnections();
      });
      const { port } = upstream.address() as AddressInfo;
      return createProxyMiddleware({
        target: `http://127.0.0.1:${port}`,
        on: { error: (error) => void seen.errors.push(error) },
      }) as unknown as RequestHandler;
    },
  },
];

let upstreamAborts = 0;
/** How many requests the proxy's upstream has seen break off. */
export const upstreamAborted = () => upstreamAborts;
