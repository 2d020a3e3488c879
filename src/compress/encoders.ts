import type { Transform } from "node:stream";
import type { BrotliOptions, ZlibOptions } from "node:zlib";

/** In order of preference: the fastest first. */
export const ENCODINGS = ["zstd", "br", "gzip", "deflate"] as const;
export type EncodingName = (typeof ENCODINGS)[number];

/** One of zlib's streams. */
export interface ZlibStream extends Transform {
  /** How many bytes of the body were encoded. */
  readonly bytesWritten: number;
  flush(kind: number, callback?: () => void): void;
}

/** A content encoding at one level. */
export interface Encoding {
  readonly name: EncodingName;
  /** The flush that makes the encoder write all its input. */
  readonly flushKind: number;
  /** Encodes a small body synchronously; undefined if the level is too slow for that. */
  readonly encodeSync: ((bytes: Uint8Array) => Buffer) | undefined;
  /** @param size of the body in bytes, if it is known */
  open(size: number | undefined): ZlibStream;
}

/** zstd is missing in the types of the oldest supported Node. */
interface Zlib {
  readonly constants: Readonly<Record<string, number>>;
  gzipSync(bytes: Uint8Array, options: ZlibOptions): Buffer;
  deflateSync(bytes: Uint8Array, options: ZlibOptions): Buffer;
  brotliCompressSync(bytes: Uint8Array, options: BrotliOptions): Buffer;
  zstdCompressSync?(bytes: Uint8Array, options: object): Buffer;
  createGzip(options: ZlibOptions): ZlibStream;
  createDeflate(options: ZlibOptions): ZlibStream;
  createBrotliCompress(options: BrotliOptions): ZlibStream;
  createZstdCompress?(options: object): ZlibStream;
}

const zlib = (): Zlib => process.getBuiltinModule("node:zlib") as unknown as Zlib;

/** zstd came with Node 22.15. */
export function isAvailable(name: EncodingName): boolean {
  return name !== "zstd" || zlib().createZstdCompress !== undefined;
}

/** From these levels on, even a small body takes milliseconds. */
const SLOW = { br: 7, zstd: 10 };

export function makeEncoding(name: EncodingName, level: number): Encoding {
  const lib = zlib();
  const k = lib.constants;
  switch (name) {
    case "gzip":
      return {
        name,
        flushKind: k.Z_SYNC_FLUSH!,
        encodeSync: (bytes) => lib.gzipSync(bytes, zlibOptionsFor(level, bytes.length)),
        open: (size) => lib.createGzip({ level, chunkSize: chunkSizeFor(size) }),
      };
    case "deflate":
      return {
        name,
        flushKind: k.Z_SYNC_FLUSH!,
        encodeSync: (bytes) => lib.deflateSync(bytes, zlibOptionsFor(level, bytes.length)),
        open: (size) => lib.createDeflate({ level, chunkSize: chunkSizeFor(size) }),
      };
    case "br": {
      const quality = { [k.BROTLI_PARAM_QUALITY!]: level };
      const syncParams = { ...quality, [k.BROTLI_PARAM_LGWIN!]: 16 };
      const streamParams = (size: number | undefined) => ({
        ...quality,
        [k.BROTLI_PARAM_LGWIN!]: brotliWindowFor(size),
        [k.BROTLI_PARAM_SIZE_HINT!]: size ?? 0,
      });
      return {
        name,
        flushKind: k.BROTLI_OPERATION_FLUSH!,
        encodeSync:
          level < SLOW.br
            ? (bytes) =>
                lib.brotliCompressSync(bytes, { params: syncParams, chunkSize: bufferSizeFor(bytes.length) })
            : undefined,
        open: (size) =>
          lib.createBrotliCompress({ params: streamParams(size), chunkSize: chunkSizeFor(size) }),
      };
    }
    case "zstd": {
      const params = { [k.ZSTD_c_compressionLevel!]: level };
      const syncParams = { ...params, [k.ZSTD_c_windowLog!]: 15 };
      return {
        name,
        flushKind: k.ZSTD_e_flush!,
        encodeSync:
          level < SLOW.zstd
            ? (bytes) =>
                lib.zstdCompressSync!(bytes, { params: syncParams, chunkSize: bufferSizeFor(bytes.length) })
            : undefined,
        open: (size) => lib.createZstdCompress!({ params, chunkSize: chunkSizeFor(size) }),
      };
    }
  }
}

/** zlib's matches reach back at most the window size minus this. */
const LOOKAHEAD = 262;

/** The smallest window that covers the body: setting up a larger one takes longer than encoding a small body. */
function zlibOptionsFor(level: number, size: number): ZlibOptions {
  const windowBits = Math.min(15, Math.max(10, 32 - Math.clz32(size + LOOKAHEAD - 1)));
  return { level, windowBits, chunkSize: bufferSizeFor(size) };
}

/** Room for the encoded body, which usually has a third of the size. Node pools buffers of less than 4 KiB. */
function bufferSizeFor(size: number): number {
  return Math.max(1_024, size >> 1);
}

/** At most 512 KiB: Brotli's usual 4 MiB gains almost nothing on a page, and each response would allocate it. */
function brotliWindowFor(size: number | undefined): number {
  return size === undefined ? 19 : Math.min(19, Math.max(16, 33 - Math.clz32(size - 1)));
}

/** The thread pool fills one buffer at a time: an encoded page fits in one. */
function chunkSizeFor(size: number | undefined): number {
  return size === undefined ? 16_384 : Math.min(65_536, Math.max(16_384, size >> 1));
}
