import http from "node:http";
import zlib from "node:zlib";
import express, { type RequestHandler } from "express";
import { type CompressOptions, compress } from "../../src/compress/index.js";
import { listen, type TestServer } from "../support/server.js";

/** Compressible text of exactly this many bytes, different at each offset. */
export function text(bytes: number): string {
  let made = "";
  for (let i = 0; made.length < bytes; i++) made += `line ${i} of a text that repeats itself; `;
  return made.slice(0, bytes);
}

/** Bytes that do not compress, the same in every run. */
export function noise(bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  let state = 0x2545f491;
  for (let i = 0; i < bytes; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    made[i] = state & 0xff;
  }
  return made;
}

type Sync = (bytes: Buffer) => Buffer;
const zstd = (zlib as unknown as { zstdDecompressSync?: Sync }).zstdDecompressSync;
export const hasZstd = zstd !== undefined;

/** All encodings of this Node. */
export const ENCODINGS = ["br", "gzip", "deflate", ...(hasZstd ? (["zstd"] as const) : [])] as const;

const DECODERS: Readonly<Record<string, Sync | undefined>> = {
  gzip: zlib.gunzipSync,
  deflate: zlib.inflateSync,
  br: zlib.brotliDecompressSync,
  zstd,
};

export function decode(encoding: string | undefined, bytes: Buffer): Buffer {
  if (encoding === undefined || bytes.length === 0) return bytes;
  const decoder = DECODERS[encoding];
  if (decoder === undefined) throw new Error(`no decoder for ${encoding}`);
  return decoder(bytes);
}

export interface Ask {
  readonly path?: string;
  readonly method?: string;
  /** Accept-Encoding; none by default. */
  readonly accept?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly agent?: http.Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Content-Encoding. */
  readonly encoding: string | undefined;
  /** As it came. */
  readonly raw: Buffer;
  /** Decoded. */
  readonly body: string;
  /** False if the connection ended before the response did. */
  readonly isWhole: boolean;
}

export function ask(
  { url }: { readonly url: string },
  { path = "/", method = "GET", accept, headers = {}, agent }: Ask = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${url}${path}`, {
      method,
      agent: agent ?? false,
      headers: { ...headers, ...(accept !== undefined && { "Accept-Encoding": accept }) },
    });
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => {});
      response.on("close", () => {
        const raw = Buffer.concat(chunks);
        const encoding = response.headers["content-encoding"];
        const { statusCode, headers, complete } = response;
        const isWhole = complete;
        const body = isWhole ? decode(encoding, raw).toString("utf8") : "";
        resolve({ status: statusCode!, headers, encoding, raw, body, isWhole });
      });
    });
    request.end();
  });
}

export interface Place {
  readonly options?: CompressOptions;
  readonly before?: readonly RequestHandler[];
  /** Between compress and the handler. */
  readonly after?: readonly RequestHandler[];
}

/** An app with compress, and one handler for everything behind it. */
export function serve(
  handler: RequestHandler,
  { options, before = [], after = [] }: Place = {},
): Promise<TestServer> {
  const app = express();
  app.set("env", "test");
  for (const one of [...before, compress(options), ...after]) app.use(one);
  app.use(handler);
  return listen(app);
}

/** `serve` and `ask` in one. */
export async function get(handler: RequestHandler, asked: Ask = {}, place: Place = {}): Promise<Answer> {
  return ask(await serve(handler, place), asked);
}
